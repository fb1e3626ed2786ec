/* scratch.c - see scratch.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/scratch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/work.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

char *scratch_path(const char *state_dir, const char *job_id)
{
	char hex[SHA256_HEX_LEN];
	sha256_hex(job_id, strlen(job_id), hex);
	return xasprintf("%s/scratch/%s", state_dir, hex);
}

int scratch_make(const char *path, struct err *e)
{
	struct err first = ERR_INIT;
	int rc = fs_mkdir(path, 0700, &first); /* nearly always all there is to do */
	if (rc == -EEXIST)
		rc = fs_remove_tree(path, e);
	else if (rc < 0 && rc != -ENOENT)
		err_set(e, -rc, "%s", first.text);
	else if (rc == 0)
		return 0;
	if (rc == 0 || rc == -ENOENT)
		rc = fs_mkdirs(path, 0700, e);
	return rc < 0 ? err_wrap(e, "can't make the job's scratch folder") : 0;
}

void scratch_remove(const char *path)
{
	(void)fs_remove_tree(path, NULL); /* swept at the next start otherwise */
}

struct removal {
	struct work work;
	char *path;
};

static void removal_run(struct work *w)
{
	scratch_remove(container_of(w, struct removal, work)->path);
}

static void removal_after(struct work *w)
{
	struct removal *r = container_of(w, struct removal, work);
	free(r->path);
	free(r);
}

void scratch_remove_in(struct pool *pool, const char *path)
{
	struct removal *r = xcalloc(1, sizeof *r);
	r->work = (struct work){.run = removal_run, .after = removal_after};
	r->path = xstrdup(path);
	pool_submit(pool, &r->work);
}

void scratch_sweep(const char *state_dir)
{
	auto_free char *dir = fs_join(state_dir, "scratch");
	(void)fs_remove_tree(dir, NULL);
}
