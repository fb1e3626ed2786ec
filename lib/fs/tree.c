/* tree.c - listing and removing folders, and the home folder; see fs.h.
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/step.h"

/* Deeper trees than any program here makes; bounds recursion and open descriptors. */
#define MAX_DEPTH 64

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int collect(DIR *d, char ***names, size_t *n)
{
	size_t cap = 0;
	for (;;) {
		errno = 0;
		const struct dirent *ent = readdir(d);
		if (!ent)
			return errno;
		if (is_dots(ent->d_name))
			continue;
		if (*n == cap) {
			cap = cap ? cap * 2 : 16;
			*names = xrealloc(*names, cap * sizeof **names);
		}
		(*names)[(*n)++] = xstrdup(ent->d_name);
	}
}

int fs_list(const char *path, char ***names, size_t *n, struct err *e)
{
	*names = NULL;
	*n = 0;
	DIR *d = opendir(path);
	if (!d)
		return err_sys(e, errno, "cannot list %s", path);
	int code = collect(d, names, n);
	closedir(d);
	if (code) {
		fs_list_free(*names, *n);
		*names = NULL;
		*n = 0;
		return err_sys(e, code, "cannot list %s", path);
	}
	if (*n)
		qsort(*names, *n, sizeof **names, compare);
	return 0;
}

void fs_list_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int remove_at(int dir, const char *name, const char *path, int depth, struct err *e);

static int unlink_at(int dir, const char *name, int flags, const char *path, struct err *e)
{
	int code = fs_step("unlink", path);
	if (!code && unlinkat(dir, name, flags) < 0)
		code = errno;
	return code && code != ENOENT ? err_sys(e, code, "cannot remove %s", path) : 0;
}

static int empty_dir(DIR *d, const char *path, int depth, struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	int code = collect(d, &names, &n), rc = code ? err_sys(e, code, "cannot list %s", path) : 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		auto_free char *sub = fs_join(path, names[i]);
		rc = remove_at(dirfd(d), names[i], sub, depth + 1, e);
	}
	fs_list_free(names, n);
	return rc;
}

static int remove_at(int dir, const char *name, const char *path, int depth, struct err *e)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot remove %s", path);
	if (!S_ISDIR(st.st_mode))
		return unlink_at(dir, name, 0, path, e);
	if (depth > MAX_DEPTH)
		return err_set(e, ELOOP, "cannot remove %s: nested too deeply", path);
	/* O_NOFOLLOW: somebody may have put a link here meanwhile. */
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int code = errno;
		if (fd >= 0)
			close(fd);
		return err_sys(e, code, "cannot remove %s", path);
	}
	int rc = empty_dir(d, path, depth, e);
	closedir(d);
	return rc < 0 ? rc : unlink_at(dir, name, AT_REMOVEDIR, path, e);
}

int fs_remove_tree(const char *path, struct err *e)
{
	return remove_at(AT_FDCWD, path, path, 0, e);
}

static const char *home_dir(void)
{
	const char *home = getenv("HOME");
	if (home && home[0])
		return home;
	const struct passwd *pw = getpwuid(getuid());
	return pw && pw->pw_dir ? pw->pw_dir : "/";
}

char *fs_expand_home(const char *path)
{
	if (path[0] != '~' || (path[1] && path[1] != '/'))
		return xstrdup(path);
	const char *home = home_dir(), *rest = path + 1;
	while (*rest == '/')
		rest++;
	return *rest ? fs_join(home, rest) : xstrdup(home);
}
