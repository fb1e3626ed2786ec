/* keep.c - see keep.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/keep.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/model/name.h"

struct keep {
	struct work work;
	char *root, **paths;
	size_t n;
	int *fds; /* negative: none */
	bool running, dropped, ok;
	keep_done *done;
	void *arg;
};

static char *lock_of(const char *root, const char *path)
{
	char key[NAME_KEY_LEN];
	const char *rest = path + strlen(root) + 1, *slash = strrchr(path, '/');
	auto_free char *folder = xstrndup(rest, slash > rest ? (size_t)(slash - rest) : 0);
	name_key(folder, slash + 1, key);
	return xasprintf("%s/" NAME_STORE_DIR "/locks/%s", root, key);
}

static bool lock_one(struct keep *k, size_t i)
{
	auto_free char *lock = lock_of(k->root, k->paths[i]);
	k->fds[i] = fs_lock_shared(lock, NULL);
	/* It may have gone before the lock was ours. */
	return k->fds[i] != -EWOULDBLOCK && fs_exists(k->paths[i]);
}

static void unlock_all(struct keep *k)
{
	for (size_t i = 0; i < k->n; i++) {
		fs_unlock(k->fds[i]);
		k->fds[i] = -1;
	}
}

static void run(struct work *w)
{
	struct keep *k = container_of(w, struct keep, work);
	auto_free char *locks = fs_join(k->root, NAME_STORE_DIR "/locks");
	k->ok = true;
	(void)!fs_mkdirs(locks, 0755, NULL);
	for (size_t i = 0; i < k->n && k->ok; i++)
		k->ok = lock_one(k, i);
	if (!k->ok)
		unlock_all(k);
}

static void keep_free(struct keep *k)
{
	unlock_all(k);
	for (size_t i = 0; i < k->n; i++)
		free(k->paths[i]);
	free(k->paths);
	free(k->fds);
	free(k->root);
	free(k);
}

static void after(struct work *w)
{
	struct keep *k = container_of(w, struct keep, work);
	k->running = false;
	if (k->dropped)
		keep_free(k);
	else
		k->done(k->arg, k->ok);
}

struct keep *keep_files(struct pool *pool, const char *root, char *const *paths, size_t n,
			keep_done *done, void *arg)
{
	struct keep *k = xcalloc(1, sizeof *k);
	k->root = xstrdup(root);
	k->n = n;
	k->paths = xcalloc(n + 1, sizeof *k->paths);
	k->fds = xcalloc(n + 1, sizeof *k->fds);
	for (size_t i = 0; i < n; i++) {
		k->paths[i] = xstrdup(paths[i]);
		k->fds[i] = -1;
	}
	k->done = done;
	k->arg = arg;
	k->running = true;
	k->work = (struct work){.run = run, .after = after};
	pool_submit(pool, &k->work);
	return k;
}

void keep_drop(struct keep *k)
{
	if (!k)
		return;
	k->dropped = true;
	if (!k->running)
		keep_free(k);
}
