/* scratch.c - see scratch.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

char *scratch_path(const char *state_dir, const char *job_id)
{
	char hex[SHA256_HEX_LEN];
	sha256_hex(job_id, strlen(job_id), hex);
	return xasprintf("%s/scratch/%s", state_dir, hex);
}

static int make(const char *path)
{
	int code = fs_fault ? fs_fault("mkdir", path) : 0;
	if (code == 0 && mkdir(path, 0700) < 0)
		code = errno;
	return code;
}

int scratch_make(const char *path, struct err *e)
{
	int code = make(path); /* nearly always all there is to do */
	if (code == 0)
		return 0;
	int rc = 0;
	if (code == EEXIST)
		rc = fs_remove_tree(path, e);
	else if (code != ENOENT)
		rc = err_sys(e, code, "%s", path);
	if (rc == 0)
		rc = fs_mkdirs(path, 0700, e);
	return rc < 0 ? err_wrap(e, "can't make the job's scratch folder") : 0;
}

void scratch_remove(const char *path)
{
	if (rmdir(path) < 0 && errno != ENOENT)
		(void)fs_remove_tree(path, NULL); /* swept at the next start otherwise */
}

void scratch_sweep(const char *state_dir)
{
	auto_free char *dir = fs_join(state_dir, "scratch");
	(void)fs_remove_tree(dir, NULL);
}
