/* quota.c - see quota.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/quota.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/model/name.h"
#include "worker/model/part.h"

static void add(struct quota_plan *p, const char *root, const char *folder, const char *filename,
		const struct quota_item *facts)
{
	p->items = xrealloc(p->items, (p->n + 1) * sizeof *p->items);
	struct quota_item *it = &p->items[p->n++];
	*it = *facts;
	it->folder = xstrdup(folder);
	it->filename = xstrdup(filename);
	it->path = name_path(root, folder, filename, "");
	p->bytes += it->bytes;
}

static int add_whole(struct quota_plan *p, const char *root, struct err *e)
{
	struct record *records;
	size_t n;
	int rc = record_scan(root, &records, &n, e);
	for (size_t i = 0; i < n; i++) {
		const struct record *r = &records[i];
		struct quota_item it = {.bytes = r->bytes, .used_ms = r->used_ms};
		if (r->downloaded && record_alive(root, r))
			add(p, root, r->folder, r->filename, &it);
	}
	records_free(records, n);
	return rc;
}

/* Ours is a part whose ledger lies beside it. */
static void add_half(struct quota_plan *p, const char *root, const char *folder, const char *name)
{
	struct stat st, ledger;
	size_t n = strlen(name), m = strlen(NAME_PART);
	if (n <= m || strcmp(name + n - m, NAME_PART) != 0)
		return;
	auto_free char *filename = xstrndup(name, n - m);
	auto_free char *part = name_path(root, folder, name, "");
	auto_free char *beside = name_path(root, folder, filename, NAME_LEDGER);
	if (name_check(filename, NULL) < 0 || lstat(part, &st) < 0 || lstat(beside, &ledger) < 0)
		return;
	struct quota_item it = {.bytes = (uint64_t)st.st_blocks * 512,
				.used_ms = (int64_t)st.st_mtim.tv_sec * 1000,
				.half = true};
	if (S_ISREG(st.st_mode) && S_ISREG(ledger.st_mode))
		add(p, root, folder, filename, &it);
}

static void add_halves(struct quota_plan *p, const char *root, const char *folder)
{
	auto_free char *dir = fs_join(root, folder);
	char **names = NULL;
	size_t n = 0;
	if (fs_list(dir, &names, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		add_half(p, root, folder, names[i]);
		if (!folder[0] && names[i][0] != '.' && strcmp(names[i], "bin") != 0)
			add_halves(p, root, names[i]);
	}
	fs_list_free(names, n);
}

static int by_use(const void *a, const void *b)
{
	const struct quota_item *x = a, *y = b;
	if (x->used_ms != y->used_ms)
		return x->used_ms < y->used_ms ? -1 : 1;
	return strcmp(x->path, y->path);
}

int quota_scan(const char *root, struct quota_plan *p, struct err *e)
{
	*p = (struct quota_plan){0};
	int rc = add_whole(p, root, e);
	if (rc == 0)
		add_halves(p, root, "");
	if (p->n)
		qsort(p->items, p->n, sizeof *p->items, by_use);
	return rc;
}

void quota_fini(struct quota_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].folder);
		free(p->items[i].filename);
		free(p->items[i].path);
	}
	free(p->items);
	*p = (struct quota_plan){0};
}

int quota_choose(struct quota_plan *p, const char *what, uint64_t quota, uint64_t more,
		 bool (*needed)(void *arg, const char *path), void *arg, struct err *e)
{
	char size[24], most[24], held[24];
	uint64_t stays = p->bytes;
	p->left = UINT64_MAX;
	if (!quota)
		return 0;
	part_size_text(more, size);
	part_size_text(quota, most);
	if (more > quota)
		return err_set(e, EFBIG, "%s has %s and models_quota_gb allows %s in all", what,
			       size, most);
	for (size_t i = 0; i < p->n && stays + more > quota; i++) {
		if (needed(arg, p->items[i].path))
			continue;
		p->items[i].chosen = true;
		stays -= p->items[i].bytes;
	}
	p->left = quota > stays ? quota - stays : 0;
	if (more <= p->left)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		p->items[i].chosen = false; /* nothing goes for nothing */
	part_size_text(stays, held);
	return err_set(e, EDQUOT,
		       "%s needs %s, models_quota_gb allows %s and %s of it are in use now", what,
		       size, most, held);
}

static int unlink_one(const char *path, struct err *e)
{
	int code = fs_fault ? fs_fault("unlink", path) : 0;
	if (!code && unlink(path) < 0)
		code = errno;
	return code && code != ENOENT ? err_sys(e, code, "cannot remove %s", path) : 0;
}

static int delete_locked(const char *root, const char *folder, const char *filename, struct err *e)
{
	struct record r;
	auto_free char *path = name_path(root, folder, filename, "");
	auto_free char *part = name_path(root, folder, filename, NAME_PART);
	auto_free char *ledger = name_path(root, folder, filename, NAME_LEDGER);
	int rc = 0;
	/* A part without a ledger is not ours, so it goes first. */
	if (fs_exists(ledger) && (rc = unlink_one(part, e)) == 0)
		rc = unlink_one(ledger, e);
	if (rc == 0 && record_load(root, folder, filename, &r, NULL) == 0) {
		if (r.downloaded && record_alive(root, &r))
			rc = unlink_one(path, e);
		record_fini(&r);
		if (rc == 0)
			record_remove(root, folder, filename);
	}
	if (rc == 0 && folder[0]) {
		auto_free char *dir = fs_join(root, folder);
		(void)rmdir(dir); /* once it is empty */
	}
	return rc;
}

int quota_delete(const char *root, const char *folder, const char *filename, struct err *e)
{
	char key[NAME_KEY_LEN];
	name_key(folder, filename, key);
	auto_free char *locks = fs_join(root, NAME_STORE_DIR "/locks");
	auto_free char *lock = fs_join(locks, key);
	int rc = fs_mkdirs(locks, 0755, e);
	if (rc < 0)
		return rc;
	int fd = fs_lock(lock, e);
	if (fd == -EWOULDBLOCK)
		return err_set(e, EBUSY, "%s is being downloaded, or a job needs it now", filename);
	if (fd < 0)
		return fd;
	rc = delete_locked(root, folder, filename, e);
	fs_unlock(fd);
	return rc;
}

uint64_t quota_evict(const char *root, const struct quota_plan *p)
{
	uint64_t gone = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].chosen &&
		    quota_delete(root, p->items[i].folder, p->items[i].filename, NULL) == 0)
			gone += p->items[i].bytes;
	return gone;
}
