/* writer.c - files written whole or not at all: a hidden temporary file beside the target, fsync,
 * rename, fsync of the folder; see fs.h.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "lib/fs/step.h"

struct fs_writer {
	char *path, *tmp;
	int fd;
	uint64_t size;
	struct sha256 *hash;
};

/* ".name.tmp-PID-N": hidden, so that whoever sweeps or lists the folder skips what a crash left. */
static char *temp_name(const char *path)
{
	static atomic_uint counter;
	auto_free char *dir = fs_dirname(path);
	const char *slash = strrchr(path, '/');
	auto_free char *name = xasprintf(".%s.tmp-%ld-%u", slash ? slash + 1 : path, (long)getpid(),
					 atomic_fetch_add(&counter, 1));
	return fs_join(dir, name);
}

static void drop(struct fs_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	sha256_free(w->hash);
	free(w->tmp);
	free(w->path);
	free(w);
}

static int open_temp(struct fs_writer *w, mode_t mode)
{
	for (;;) {
		free(w->tmp);
		w->tmp = temp_name(w->path);
		int fault = fs_step("open", w->path);
		if (fault)
			return fault;
		w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		/* Left by a crashed process with our id: take the next number. */
		if (w->fd >= 0 || errno != EEXIST)
			return w->fd < 0 ? errno : 0;
	}
}

struct fs_writer *fs_writer_open(const char *path, mode_t mode, struct err *e)
{
	struct fs_writer *w = xcalloc(1, sizeof *w);
	w->fd = -1;
	w->path = xstrdup(path);
	w->hash = sha256_new();
	int code = open_temp(w, mode);
	if (code) {
		(void)err_sys(e, code, "cannot write %s", path);
		drop(w);
		return NULL;
	}
	return w;
}

int fs_writer_write(struct fs_writer *w, const void *data, size_t len, struct err *e)
{
	const char *p = data;
	size_t left = len;
	while (left) {
		int code = fs_step("write", w->path);
		ssize_t n = code ? -1 : write(w->fd, p, left);
		if (n < 0 && !code)
			code = errno;
		if (n < 0 && code == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, code, "cannot write %s", w->path);
		sha256_update(w->hash, p, (size_t)n);
		w->size += (uint64_t)n;
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

static int flush(struct fs_writer *w, struct err *e)
{
	int code = fs_step("fsync", w->path);
	if (!code && fsync(w->fd) < 0)
		code = errno;
	/* Network file systems report a full disk only here. */
	int fd = w->fd;
	w->fd = -1;
	if (close(fd) < 0 && !code)
		code = errno;
	return code ? err_sys(e, code, "cannot write %s", w->path) : 0;
}

int fs_writer_commit(struct fs_writer *w, char hex[65], struct err *e)
{
	int rc = flush(w, e);
	if (rc == 0) {
		int code = fs_step("rename", w->path);
		if (!code && rename(w->tmp, w->path) < 0)
			code = errno;
		if (code)
			rc = err_sys(e, code, "cannot write %s", w->path);
	}
	if (rc < 0) {
		fs_writer_abort(w);
		return rc;
	}
	if (hex)
		sha256_final_hex(steal(&w->hash), hex);
	auto_free char *dir = fs_dirname(w->path);
	drop(w);
	return fs_sync_dir(dir, e);
}

void fs_writer_abort(struct fs_writer *w)
{
	if (!w)
		return;
	/* Best effort: a hidden file that stays behind is swept or ignored. */
	if (!fs_step("unlink", w->tmp))
		(void)unlink(w->tmp);
	drop(w);
}

uint64_t fs_writer_size(const struct fs_writer *w)
{
	return w->size;
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *e)
{
	struct err local = ERR_INIT;
	e = e ? e : &local;
	struct fs_writer *w = fs_writer_open(path, mode, e);
	if (!w)
		return -e->code;
	int rc = fs_writer_write(w, data, len, e);
	if (rc < 0) {
		fs_writer_abort(w);
		return rc;
	}
	return fs_writer_commit(w, NULL, e);
}
