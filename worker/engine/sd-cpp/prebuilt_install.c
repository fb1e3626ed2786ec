/* prebuilt_install.c - see prebuilt_install.h.
 * models_root/bin/.sd-cpp-new/{archive,root}  →  bin/sd-cpp-<hash>/, links bin/sd-server,
 * bin/sd-cli SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/prebuilt_install.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "worker/engine/sd-cpp/unpack.h"

#define PREFIX	  "sd-cpp-"
#define TEMP	  ".sd-cpp-new"
#define LOCK	  ".sd-cpp.lock"
#define HASH_SHOW 12

/* The Vulkan archive of 2026 has about 40 files and 200 MB. */
static const struct unpack_limits limits = {.bytes = 2ull << 30, .entries = 1000};

/* Where in an archive the programs may be. */
static const char *const places[] = {"", "bin/", "build/bin/"};
static const char *const programs[] = {"sd-server", "sd-cli"};

int installation_begin(struct installation *i, const char *models_root, struct err *e)
{
	*i = (struct installation){.lock = -1};
	i->bin = fs_join(models_root, "bin");
	i->temp = fs_join(i->bin, TEMP);
	i->archive = fs_join(i->temp, "archive");
	auto_free char *lock = fs_join(i->bin, LOCK);
	int rc = fs_mkdirs(i->bin, 0700, e);
	if (rc)
		return rc;
	i->lock = fs_lock(lock, e);
	if (i->lock == -EWOULDBLOCK)
		return err_set(e, EBUSY, "sd-server is being installed already");
	if (i->lock < 0)
		return i->lock;
	rc = fs_remove_tree(i->temp, e);
	return rc ? rc : fs_mkdir(i->temp, 0700, e);
}

void installation_end(struct installation *i)
{
	if (i->lock >= 0) {
		fs_remove_tree(i->temp, NULL);
		fs_unlock(i->lock);
	}
	free(i->bin);
	free(i->temp);
	free(i->archive);
	*i = (struct installation){.lock = -1};
}

static int verify(const struct installation *i, const char *sha256, const atomic_bool *stop,
		  struct err *e)
{
	char hex[SHA256_HEX_LEN];
	int rc = sha256_file_until(i->archive, stop, hex, e);
	if (rc)
		return rc;
	if (strcasecmp(hex, sha256) == 0)
		return 0;
	return err_set(e, EBADMSG,
		       "the archive's SHA-256 is %s, not %s as it must be; it was not "
		       "installed",
		       hex, sha256);
}

static bool regular(const char *dir, const char *place, const char *name, char **path)
{
	struct stat st;
	*path = xasprintf("%s/%s%s", dir, place, name);
	return lstat(*path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Where sd-server or sd-cli is, both made executable: zip files may have lost that. */
static const char *find_programs(const char *root)
{
	for (size_t p = 0; p < ARRAY_LEN(places); p++) {
		bool found = false;
		for (size_t n = 0; n < ARRAY_LEN(programs); n++) {
			auto_free char *path = NULL;
			if (regular(root, places[p], programs[n], &path))
				found |= chmod(path, 0700) == 0;
		}
		if (found)
			return places[p];
	}
	return NULL;
}

/* A link of an earlier installation is replaced, the owner's own program never. */
static int link_program(const struct installation *i, const char *target, const char *name,
			struct err *e)
{
	char old[512];
	struct stat st;
	auto_free char *path = fs_join(i->bin, name);
	auto_free char *fresh = fs_join(i->temp, name);
	ssize_t n = readlink(path, old, sizeof old);
	bool ours = n > (ssize_t)strlen(PREFIX) && memcmp(old, PREFIX, strlen(PREFIX)) == 0;
	if (!ours && lstat(path, &st) == 0)
		return 0;
	if (symlink(target, fresh) < 0)
		return err_sys(e, errno, "cannot make the link %s", fresh);
	return fs_rename(fresh, path, e);
}

static int link_programs(const struct installation *i, const char *folder, const char *place,
			 struct err *e)
{
	auto_free char *home = fs_join(i->bin, folder);
	for (size_t n = 0; n < ARRAY_LEN(programs); n++) {
		auto_free char *path = NULL;
		auto_free char *target = xasprintf("%s/%s%s", folder, place, programs[n]);
		if (!regular(home, place, programs[n], &path))
			continue;
		int rc = link_program(i, target, programs[n], e);
		if (rc)
			return rc;
	}
	return 0;
}

static int put_in_place(const struct installation *i, const char *root, const char *sha256,
			struct err *e)
{
	const char *place = find_programs(root);
	if (!place)
		return err_set(e, ENOENT, "the archive holds neither sd-server nor sd-cli");
	auto_free char *folder = xasprintf(PREFIX "%.*s", HASH_SHOW, sha256);
	auto_free char *home = fs_join(i->bin, folder);
	auto_free char *old = fs_join(i->temp, "old");
	int rc = fs_exists(home) ? fs_rename(home, old, e) : 0;
	if (!rc)
		rc = fs_rename(root, home, e);
	return rc ? rc : link_programs(i, folder, place, e);
}

int installation_finish(struct installation *i, const char *sha256, const atomic_bool *stop,
			struct err *e)
{
	auto_free char *root = fs_join(i->temp, "root");
	int rc = verify(i, sha256, stop, e);
	if (!rc)
		rc = fs_mkdir(root, 0700, e);
	if (!rc)
		rc = unpack(i->archive, root, &limits, stop, e);
	return rc ? rc : put_in_place(i, root, sha256, e);
}
