/* unpack.c - see unpack.h. Links are made at the end and lead to a name beside them, so no file is
 * ever written through one.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/sd-cpp/libarchive.h"

#define MAX_NAME  200u
#define MAX_DEPTH 6
#define MAX_LINKS 128u
#define PIECE	  (128u << 10)

struct link {
	char *path, *target;
};

struct unpacking {
	struct libarchive lib;
	struct archive *archive;
	const char *dir;
	const struct unpack_limits *limits;
	const atomic_bool *stop;
	struct link links[MAX_LINKS];
	size_t n_links;
	uint64_t bytes;
	unsigned entries;
	char *piece;
};

/* A file name that is one, whatever a shell or a terminal makes of it. */
static bool plain_component(const char *s, size_t len)
{
	if (!len || (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.'))))
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\')
			return false;
	return true;
}

/* "./a/b/" → "a/b" in out ("" for the top itself); false for what leads anywhere else. */
static bool plain_name(const char *name, char out[MAX_NAME + 1])
{
	size_t len = name ? strlen(name) : 0;
	if (len >= 2 && name[0] == '.' && name[1] == '/') {
		name += 2;
		len -= 2;
	}
	if (len && name[len - 1] == '/' && name[0] != '/')
		len--;
	if (!name || len > MAX_NAME)
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	int depth = 0;
	for (const char *s = out; len; s++) {
		size_t n = strcspn(s, "/");
		if (!plain_component(s, n) || ++depth > MAX_DEPTH)
			return false;
		s += n;
		if (!*s)
			break;
	}
	return true;
}

static int make_folders(const struct unpacking *u, const char *name, bool all, struct err *e)
{
	auto_free char *path = fs_join(u->dir, name);
	size_t top = strlen(u->dir) + 1;
	for (char *slash = path + top; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make the folder %s", path);
		*slash = '/';
	}
	if (all && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder %s", path);
	return 0;
}

static int broken(struct unpacking *u, struct err *e)
{
	const char *why = u->lib.error_string(u->archive);
	return err_set(e, EBADMSG, "the archive can't be read: %s", why ? why : "it is broken");
}

static int write_piece(int fd, const char *data, size_t len, const char *path, struct err *e)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "cannot write %s", path);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int write_data(struct unpacking *u, int fd, const char *path, struct err *e)
{
	for (;;) {
		la_ssize_t n = u->lib.read_data(u->archive, u->piece, PIECE);
		if (n < 0)
			return broken(u, e);
		if (n == 0)
			return fsync(fd) < 0 ? err_sys(e, errno, "cannot write %s", path) : 0;
		if (atomic_load(u->stop))
			return err_set(e, ECANCELED, "stopped");
		u->bytes += (uint64_t)n;
		if (u->bytes > u->limits->bytes)
			return err_set(e, EFBIG, "the archive unpacks to more than %llu MB",
				       (unsigned long long)(u->limits->bytes / 1000000));
		int rc = write_piece(fd, u->piece, (size_t)n, path, e);
		if (rc)
			return rc;
	}
}

static int take_file(struct unpacking *u, struct archive_entry *entry, const char *name,
		     struct err *e)
{
	if (u->lib.hardlink(entry))
		return err_set(e, EPERM, "the archive holds a hard link, %s", name);
	int rc = make_folders(u, name, false, e);
	if (rc)
		return rc;
	auto_free char *path = fs_join(u->dir, name);
	mode_t mode = u->lib.perm(entry) & 0111 ? 0700 : 0600;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "the archive's %s can't be unpacked", name);
	rc = write_data(u, fd, path, e);
	close(fd);
	return rc;
}

static int take_link(struct unpacking *u, struct archive_entry *entry, const char *name,
		     struct err *e)
{
	const char *target = u->lib.symlink(entry);
	if (!target || strlen(target) > MAX_NAME || strchr(target, '/') ||
	    !plain_component(target, strlen(target)))
		return err_set(e, EPERM, "the archive's link %s leads out of its folder", name);
	if (u->n_links == MAX_LINKS)
		return err_set(e, E2BIG, "the archive holds more than %u links", MAX_LINKS);
	u->links[u->n_links++] =
	    (struct link){.path = fs_join(u->dir, name), .target = xstrdup(target)};
	return make_folders(u, name, false, e);
}

static int take_entry(struct unpacking *u, struct archive_entry *entry, struct err *e)
{
	char name[MAX_NAME + 1];
	if (++u->entries > u->limits->entries)
		return err_set(e, E2BIG, "the archive holds more than %u files",
			       u->limits->entries);
	if (!plain_name(u->lib.pathname(entry), name))
		return err_set(e, EPERM, "the archive holds a name that leads out of its folder");
	switch (u->lib.filetype(entry)) {
	case AE_IFDIR:
		return name[0] ? make_folders(u, name, true, e) : 0;
	case AE_IFREG:
		return take_file(u, entry, name, e);
	case AE_IFLNK:
		return take_link(u, entry, name, e);
	default:
		return err_set(e, EPERM, "the archive's %s is neither file, folder nor link", name);
	}
}

static int take_all(struct unpacking *u, struct err *e)
{
	struct archive_entry *entry;
	for (;;) {
		int rc = u->lib.next_header(u->archive, &entry);
		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK)
			return broken(u, e);
		if (atomic_load(u->stop))
			return err_set(e, ECANCELED, "stopped");
		rc = take_entry(u, entry, e);
		if (rc)
			return rc;
	}
}

/* Each must lead to a file in the end: not to nothing, not in a circle. */
static int make_links(struct unpacking *u, struct err *e)
{
	struct stat st;
	for (size_t i = 0; i < u->n_links; i++)
		if (symlink(u->links[i].target, u->links[i].path) < 0)
			return err_sys(e, errno, "cannot make the link %s", u->links[i].path);
	for (size_t i = 0; i < u->n_links; i++)
		if (stat(u->links[i].path, &st) < 0 || !S_ISREG(st.st_mode))
			return err_set(e, EPERM, "the archive's link %s leads to no file",
				       u->links[i].path);
	return 0;
}

static int open_archive(struct unpacking *u, const char *path, struct err *e)
{
	u->archive = u->lib.read_new();
	if (!u->archive)
		return err_set(e, ENOMEM, "libarchive can't be initialised");
	u->lib.format_zip(u->archive);
	u->lib.format_tar(u->archive);
	u->lib.filter_gzip(u->archive);
	u->lib.filter_xz(u->archive);
	u->lib.filter_zstd(u->archive);
	return u->lib.open_filename(u->archive, path, PIECE) == ARCHIVE_OK ? 0 : broken(u, e);
}

int unpack(const char *archive, const char *dir, const struct unpack_limits *l,
	   const atomic_bool *stop, struct err *e)
{
	struct unpacking u = {.dir = dir, .limits = l, .stop = stop};
	int rc = libarchive_open(&u.lib, e);
	if (rc)
		return rc;
	u.piece = xmalloc(PIECE);
	rc = open_archive(&u, archive, e);
	if (!rc)
		rc = take_all(&u, e);
	if (!rc)
		rc = make_links(&u, e);
	if (!rc && !u.bytes)
		rc = err_set(e, EBADMSG, "the archive holds nothing");
	if (u.archive)
		u.lib.read_free(u.archive);
	for (size_t i = 0; i < u.n_links; i++) {
		free(u.links[i].path);
		free(u.links[i].target);
	}
	free(u.piece);
	libarchive_close(&u.lib);
	return rc;
}
