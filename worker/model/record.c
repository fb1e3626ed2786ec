/* record.c - see record.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/record.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/vfs.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/wire/frame.h"
#include "lib/wire/json_write.h"
#include "worker/model/name.h"

#define RECORD_MAX  16384
#define FAT_STEP_NS 2000000000 /* FAT keeps times in steps of 2 s */

/* ---- text ---- */

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

char *record_encode(const struct record *r)
{
	json_t *o = json_object();
	set_text(o, "folder", r->folder);
	set_text(o, "filename", r->filename);
	set_text(o, "sha256", r->sha256);
	set_text(o, "url", r->url);
	json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(o, "inode", json_integer((json_int_t)r->inode));
	json_object_set_new(o, "mtimeNs", json_integer(r->mtime_ns));
	json_object_set_new(o, "downloaded", json_boolean(r->downloaded));
	char *text = json_write(o, true);
	json_decref(o);
	return text;
}

static bool sane(const struct record *r)
{
	if (!r->folder || !r->filename || name_check(r->filename, NULL) < 0)
		return false;
	if (r->folder[0] == '.' || strchr(r->folder, '/') || strcmp(r->folder, "bin") == 0)
		return false;
	return !r->sha256 || strspn(r->sha256, "0123456789abcdef") == 64;
}

static char *text_of(json_t *o, const char *key)
{
	return xstrdup_opt(json_string_value(json_object_get(o, key)));
}

static bool number_of(json_t *o, const char *key, json_int_t *out)
{
	json_t *v = json_object_get(o, key);
	*out = json_integer_value(v);
	return json_is_integer(v);
}

int record_decode(const char *text, size_t len, struct record *r, struct err *e)
{
	json_int_t bytes, inode, mtime;
	*r = (struct record){0};
	json_t *o = json_parse(text, len, e);
	bool ok = json_is_object(o) && number_of(o, "bytes", &bytes) &&
		  number_of(o, "inode", &inode) && number_of(o, "mtimeNs", &mtime) && bytes >= 0;
	if (ok) {
		*r = (struct record){.folder = text_of(o, "folder"),
				     .filename = text_of(o, "filename"),
				     .sha256 = text_of(o, "sha256"),
				     .url = text_of(o, "url"),
				     .bytes = (uint64_t)bytes,
				     .inode = (uint64_t)inode,
				     .mtime_ns = mtime,
				     .downloaded = json_is_true(json_object_get(o, "downloaded"))};
		ok = sane(r);
	}
	json_decref(o);
	if (ok)
		return 0;
	record_fini(r);
	return err_set(e, EPROTO, "this is no record of a model file");
}

void record_fini(struct record *r)
{
	free(r->folder);
	free(r->filename);
	free(r->sha256);
	free(r->url);
	*r = (struct record){0};
}

/* ---- files ---- */

static char *files_dir(const char *root)
{
	return xasprintf("%s/%s/files", root, NAME_STORE_DIR);
}

static char *path_of(const char *root, const char *folder, const char *filename)
{
	char key[NAME_KEY_LEN];
	name_key(folder, filename, key);
	return xasprintf("%s/%s/files/%s", root, NAME_STORE_DIR, key);
}

static int load(const char *path, struct record *r, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	struct stat st;
	int rc = fs_read(path, RECORD_MAX, &text, &len, e);
	if (rc == 0)
		rc = record_decode(text, len, r, e);
	if (rc == 0 && stat(path, &st) == 0)
		r->used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return rc;
}

int record_load(const char *root, const char *folder, const char *filename, struct record *r,
		struct err *e)
{
	auto_free char *path = path_of(root, folder, filename);
	*r = (struct record){0};
	return load(path, r, e);
}

int record_save(const char *root, const struct record *r, struct err *e)
{
	auto_free char *dir = files_dir(root), *path = path_of(root, r->folder, r->filename);
	int rc = fs_mkdirs(dir, 0755, e);
	if (rc < 0)
		return rc;
	auto_free char *text = record_encode(r);
	return fs_write_atomic(path, text, strlen(text), 0600, e); /* the address may hold a key */
}

void record_touch(const char *root, const char *folder, const char *filename)
{
	auto_free char *path = path_of(root, folder, filename);
	(void)utimensat(AT_FDCWD, path, NULL, 0); /* a lost one makes the file look older */
}

void record_remove(const char *root, const char *folder, const char *filename)
{
	auto_free char *path = path_of(root, folder, filename);
	(void)fs_remove_tree(path, NULL); /* one that stays fits no file any more */
}

int record_scan(const char *root, struct record **out, size_t *n, struct err *e)
{
	auto_free char *dir = files_dir(root);
	char **names = NULL;
	size_t count = 0;
	*out = NULL;
	*n = 0;
	int rc = fs_list(dir, &names, &count, e);
	if (rc == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (rc < 0)
		return rc;
	*out = xcalloc(count + 1, sizeof **out);
	for (size_t i = 0; i < count; i++) {
		auto_free char *path = fs_join(dir, names[i]);
		if (names[i][0] != '.' && load(path, &(*out)[*n], NULL) == 0)
			(*n)++;
	}
	fs_list_free(names, count);
	return 0;
}

void records_free(struct record *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		record_fini(&r[i]);
	free(r);
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool record_inode_lasts(long fs_type)
{
	/* linux/magic.h, but for exFAT and CIFS, which it lacks in part. FUSE: exfat-fuse, ntfs-3g.
	 */
	static const unsigned renumber[] = {0x4d44,	0x2011bab0, 0x65735546,
					    0xff534d42, 0xfe534d42, 0x517b};
	for (size_t i = 0; i < ARRAY_LEN(renumber); i++)
		if ((unsigned)fs_type == renumber[i])
			return false;
	return true;
}

void record_stamp(struct record *r, const struct stat *st, const char *path)
{
	struct statfs fs;
	bool lasts = statfs(path, &fs) < 0 || record_inode_lasts((long)fs.f_type);
	r->bytes = (uint64_t)st->st_size;
	r->inode = lasts ? (uint64_t)st->st_ino : 0;
	r->mtime_ns = mtime_ns(st);
}

bool record_same_time(const struct record *r, const struct stat *st)
{
	int64_t apart = r->mtime_ns - mtime_ns(st), step = r->inode ? 1 : FAT_STEP_NS;
	return r->bytes == (uint64_t)st->st_size && apart > -step && apart < step;
}

bool record_fits(const struct record *r, const struct stat *st)
{
	return record_same_time(r, st) && (!r->inode || r->inode == (uint64_t)st->st_ino);
}

bool record_alive(const char *root, const struct record *r)
{
	struct stat st;
	auto_free char *path = name_path(root, r->folder, r->filename, "");
	return stat(path, &st) == 0 && record_fits(r, &st);
}
