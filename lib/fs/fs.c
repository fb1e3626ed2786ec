/* fs.c - reading, folders, renames and syncs; see fs.h. Atomic writes are in writer.c.
 * SPDX-License-Identifier: MIT */
#include "lib/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/step.h"

__thread int (*fs_fault)(const char *step, const char *path);

static int fill(int fd, const char *path, size_t max, struct buf *b, struct err *e)
{
	char chunk[16384];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "cannot read %s", path);
		if (n == 0)
			return 0;
		if ((size_t)n > max - b->len)
			return err_set(e, EFBIG, "%s is larger than %zu bytes", path, max);
		if (!buf_add(b, chunk, (size_t)n))
			return err_set(e, ENOMEM, "no memory to read %s", path);
	}
}

int fs_open_regular(const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	bool known = fstat(fd, &st) == 0;
	if (known && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(e, known && S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
		       "%s is not a regular file", path);
}

int fs_read(const char *path, size_t max, char **data, size_t *len, struct err *e)
{
	*data = NULL;
	*len = 0;
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	struct stat st;
	struct buf b;
	buf_init(&b, max);
	int rc;
	if (fstat(fd, &st) < 0)
		rc = err_sys(e, errno, "cannot read %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "%s is not a regular file",
			     path);
	else
		rc = fill(fd, path, max, &b, e);
	close(fd);
	if (rc == 0) {
		*len = b.len;
		*data = buf_steal(&b);
	}
	buf_fini(&b);
	return rc;
}

char *fs_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xstrndup(path, (size_t)(slash - path));
}

static int sync_path(const char *path, int flags, struct err *e)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	int rc = fsync(fd) < 0 ? err_sys(e, errno, "cannot sync %s", path) : 0;
	close(fd);
	return rc;
}

int fs_sync_file(const char *path, struct err *e)
{
	int fault = fs_step("fsync", path);
	if (fault)
		return err_sys(e, fault, "cannot sync %s", path);
	return sync_path(path, O_RDONLY, e);
}

int fs_sync_dir(const char *path, struct err *e)
{
	int fault = fs_step("syncdir", path);
	if (fault)
		return err_sys(e, fault, "cannot sync %s", path);
	return sync_path(path, O_RDONLY | O_DIRECTORY, e);
}

static int sync_parent(const char *path, struct err *e)
{
	auto_free char *dir = fs_dirname(path);
	return fs_sync_dir(dir, e);
}

int fs_rename(const char *from, const char *to, struct err *e)
{
	int fault = fs_step("rename", to);
	if (fault || rename(from, to) < 0)
		return err_sys(e, fault ? fault : errno, "cannot rename %s to %s", from, to);
	return sync_parent(to, e);
}

/* One level; the new entry is synced so that it survives a crash. */
static int make_dir(const char *path, mode_t mode, struct err *e)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : err_set(e, ENOTDIR, "%s is not a folder", path);
	int fault = fs_step("mkdir", path);
	if (fault || mkdir(path, mode) < 0) {
		int code = fault ? fault : errno;
		return code == EEXIST ? 0 : err_sys(e, code, "cannot make the folder %s", path);
	}
	return sync_parent(path, e);
}

int fs_mkdir(const char *path, mode_t mode, struct err *e)
{
	int code = fs_step("mkdir", path);
	if (!code && mkdir(path, mode) < 0)
		code = errno;
	return code ? err_sys(e, code, "cannot make the folder %s", path) : 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
	auto_free char *p = xstrdup(path);
	size_t len = strlen(p);
	while (len > 1 && p[len - 1] == '/')
		p[--len] = '\0';
	if (!len)
		return err_set(e, EINVAL, "a folder has an empty name");
	for (char *s = p + 1; *s; s++) {
		if (*s != '/' || s[-1] == '/')
			continue;
		*s = '\0';
		int rc = make_dir(p, mode, e);
		*s = '/';
		if (rc < 0)
			return rc;
	}
	return make_dir(p, mode, e);
}

bool fs_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

int fs_size(const char *path, uint64_t *size, struct err *e)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(e, errno, "cannot read %s", path);
	*size = (uint64_t)st.st_size;
	return 0;
}

char *fs_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	return xasprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

static int lock(const char *path, int how, struct err *e)
{
	int fault = fs_step("open", path);
	int fd = fault ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 && !fault && (errno == EROFS || errno == EACCES))
		fd = open(path, O_RDONLY | O_CLOEXEC); /* locking an old one writes nothing */
	if (fd < 0)
		return err_sys(e, fault ? fault : errno, "cannot open the lock %s", path);
	while (flock(fd, how | LOCK_NB) < 0) {
		int code = errno;
		if (code == EINTR)
			continue;
		close(fd);
		if (code == EWOULDBLOCK)
			return err_set(e, code, "%s is held by another process", path);
		return err_sys(e, code, "cannot lock %s", path);
	}
	return fd;
}

int fs_lock(const char *path, struct err *e)
{
	return lock(path, LOCK_EX, e);
}

int fs_lock_shared(const char *path, struct err *e)
{
	return lock(path, LOCK_SH, e);
}

void fs_unlock(int fd)
{
	/* The file stays: removing it would let two processes hold "the" lock. */
	if (fd >= 0)
		close(fd);
}
