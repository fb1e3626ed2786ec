/* part.c - see part.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

static int step(const char *name, const char *path)
{
	return fs_fault ? fs_fault(name, path) : 0;
}

int part_open(const char *path, struct err *e)
{
	int fault = step("open", path);
	/* O_NONBLOCK: whoever put a FIFO here must not stop us. */
	int fd =
	    fault ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	return fd < 0 ? err_sys(e, fault ? fault : errno, "cannot open %s", path) : fd;
}

int part_write(int fd, const char *path, const void *data, size_t len, uint64_t at, struct err *e)
{
	const char *p = data;
	while (len) {
		int code = step("write", path);
		ssize_t n = code ? -1 : pwrite(fd, p, len, (off_t)at);
		if (n < 0 && !code)
			code = errno;
		if (n < 0 && code == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, code, "cannot write %s", path);
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int part_sync(int fd, const char *path, struct err *e)
{
	int code = step("fsync", path);
	if (!code && fdatasync(fd) < 0)
		code = errno;
	return code ? err_sys(e, code, "cannot sync %s", path) : 0;
}

/* For file systems that don't know the flag: a look before, with a moment in between. */
static int rename_looking(const char *from, const char *to)
{
	struct stat st;
	if (lstat(to, &st) == 0)
		return EEXIST;
	return rename(from, to) < 0 ? errno : 0;
}

int part_place(const char *from, const char *to, struct err *e)
{
	int code = step("rename", to);
	if (!code && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
		code = errno == EINVAL || errno == ENOSYS ? rename_looking(from, to) : errno;
	if (code)
		return err_sys(e, code, "cannot rename %s to %s", from, to);
	auto_free char *dir = xstrndup(to, (size_t)(strrchr(to, '/') - to));
	return fs_sync_dir(dir, e);
}

int part_cut(int fd, const char *path, struct err *e)
{
	int code = step("write", path);
	if (!code && ftruncate(fd, 0) < 0)
		code = errno;
	return code ? err_sys(e, code, "cannot empty %s", path) : 0;
}

int part_read(int fd, const char *path, void *data, size_t len, uint64_t at, struct err *e)
{
	char *p = data;
	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n < 0 ? errno : EIO, "cannot read %s", path);
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

void part_unlink(const char *path)
{
	if (!step("unlink", path))
		(void)unlink(path);
}

void part_size_text(uint64_t bytes, char out[24])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double v = (double)bytes / 1000;
	size_t u = 0;
	if (bytes < 1000) {
		snprintf(out, 24, "%u B", (unsigned)bytes);
		return;
	}
	for (; v >= 999.95 && u < 4; u++)
		v /= 1000;
	snprintf(out, 24, v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

int part_room(const char *dir, const char *what, uint64_t need, struct err *e)
{
	struct statvfs fs;
	char needed[24], there[24];
	if (statvfs(dir, &fs) < 0)
		return err_sys(e, errno, "cannot tell how much space is left in %s", dir);
	uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (need <= left && need / 10 <= left - need)
		return 0;
	part_size_text(need + need / 10, needed);
	part_size_text(left, there);
	return err_set(e, ENOSPC,
		       "%s needs %s of disk space (a tenth of it as headroom) and %s has %s left; "
		       "make room or lower models_quota_gb",
		       what, needed, dir, there);
}
