/* folder.c - results as files of one folder: written under a hidden name, then fsynced and renamed
 * in the pool. SPDX-License-Identifier: MIT */
#include "studio/blob/blob.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define NAME_MAX_LEN 200
#define FILE_MODE    0600
#define FOLDER_MODE  0700

struct folder {
	struct blob_store base;
	struct pool *pool;
	struct log *log;
	char *dir;
	size_t pending; /* works under way, which keep this alive */
	bool closed;
};

struct blob_writer {
	struct folder *folder;
	struct fs_writer *file;
};

/* One piece of blocking work. The pool's thread touches nothing else. */
struct task {
	struct work work;
	struct folder *folder;
	char *path;
	struct fs_writer *file;
	blob_done *done;
	blob_names *listed;
	void *arg;
	struct err err;
	uint64_t bytes;
	char hex[65];
	char **names;
	size_t n;
};

static struct folder *folder_of(struct blob_store *b)
{
	return (struct folder *)(void *)b;
}

bool blob_name_valid(const char *name)
{
	size_t len = strlen(name);
	if (len < 1 || len > NAME_MAX_LEN || name[0] == '.')
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	       len;
}

static char *path_of(struct folder *f, const char *name, struct err *e)
{
	if (blob_name_valid(name))
		return fs_join(f->dir, name);
	err_set(e, EINVAL, "not the name of a result");
	return NULL;
}

/* ---- works ---- */

static void release(struct folder *f)
{
	if (f->pending || !f->closed)
		return;
	free(f->dir);
	free(f);
}

static void submit(struct folder *f, struct task *t, void (*run)(struct work *w),
		   void (*after)(struct work *w))
{
	t->folder = f;
	t->work.run = run;
	t->work.after = after;
	f->pending++;
	pool_submit(f->pool, &t->work);
}

static void task_free(struct task *t)
{
	struct folder *f = t->folder;
	fs_list_free(t->names, t->n);
	free(t->path);
	free(t);
	f->pending--;
	release(f);
}

static struct task *task_of(struct work *w)
{
	return container_of(w, struct task, work);
}

/* ---- writing ---- */

static struct blob_writer *open_blob(struct blob_store *b, const char *name, struct err *e)
{
	struct folder *f = folder_of(b);
	auto_free char *path = path_of(f, name, e);
	struct fs_writer *file = path ? fs_writer_open(path, FILE_MODE, e) : NULL;
	if (!file)
		return NULL;
	struct blob_writer *w = xcalloc(1, sizeof(*w));
	w->folder = f;
	w->file = file;
	return w;
}

static int write_blob(struct blob_writer *w, const void *data, size_t len, struct err *e)
{
	return fs_writer_write(w->file, data, len, e);
}

static void run_commit(struct work *w)
{
	struct task *t = task_of(w);
	t->bytes = fs_writer_size(t->file);
	(void)!fs_writer_commit(t->file, t->hex, &t->err);
}

static void after_commit(struct work *w)
{
	struct task *t = task_of(w);
	if (!t->folder->closed)
		t->done(t->arg, &t->err, t->bytes, t->hex);
	task_free(t);
}

static void commit_blob(struct blob_writer *w, blob_done *done, void *arg)
{
	struct task *t = xcalloc(1, sizeof(*t));
	t->file = w->file;
	t->done = done;
	t->arg = arg;
	submit(w->folder, t, run_commit, after_commit);
	free(w);
}

static void abort_blob(struct blob_writer *w)
{
	if (!w)
		return;
	fs_writer_abort(w->file);
	free(w);
}

/* ---- removing, reading ---- */

static void run_remove(struct work *w)
{
	struct task *t = task_of(w);
	(void)fs_remove_tree(t->path, &t->err);
}

static void after_remove(struct work *w)
{
	struct task *t = task_of(w);
	if (t->err.code && !t->folder->closed)
		log_warn(t->folder->log, "blob", NULL, "result not removed: %s", t->err.text);
	task_free(t);
}

static void remove_blob(struct blob_store *b, const char *name)
{
	struct folder *f = folder_of(b);
	char *path = path_of(f, name, NULL);
	if (!path)
		return;
	struct task *t = xcalloc(1, sizeof(*t));
	t->path = path;
	submit(f, t, run_remove, after_remove);
}

static char *local_path(struct blob_store *b, const char *name, struct err *e)
{
	auto_free char *path = path_of(folder_of(b), name, e);
	if (path && !fs_exists(path)) {
		err_set(e, ENOENT, "the result %s is not there any more", name);
		return NULL;
	}
	return steal(&path);
}

static void run_list(struct work *w)
{
	struct task *t = task_of(w);
	(void)!fs_list(t->path, &t->names, &t->n, &t->err);
}

/* What is no name of ours stays out, as hidden files do. */
static void keep_valid(struct task *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (blob_name_valid(t->names[i]))
			t->names[kept++] = t->names[i];
		else
			free(t->names[i]);
	}
	t->n = kept;
}

static void after_list(struct work *w)
{
	struct task *t = task_of(w);
	keep_valid(t);
	if (!t->folder->closed)
		t->listed(t->arg, &t->err, t->names, t->n);
	task_free(t);
}

static void list_blobs(struct blob_store *b, blob_names *done, void *arg)
{
	struct folder *f = folder_of(b);
	struct task *t = xcalloc(1, sizeof(*t));
	t->path = xstrdup(f->dir);
	t->listed = done;
	t->arg = arg;
	submit(f, t, run_list, after_list);
}

/* ---- life ---- */

static void close_folder(struct blob_store *b)
{
	struct folder *f = folder_of(b);
	f->closed = true;
	release(f);
}

static const struct blob_ops folder_ops = {
    .name = "folder",
    .close = close_folder,
    .open = open_blob,
    .write = write_blob,
    .commit = commit_blob,
    .abort = abort_blob,
    .remove = remove_blob,
    .path = local_path,
    .list = list_blobs,
};

/* Uploads that a crash cut short. */
static int sweep_temporary(const char *dir, struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	int rc = fs_list(dir, &names, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		auto_free char *path = fs_join(dir, names[i]);
		if (names[i][0] == '.' && strstr(names[i], ".tmp-"))
			rc = fs_remove_tree(path, e);
	}
	fs_list_free(names, n);
	return rc;
}

struct blob_store *blob_folder_open(struct pool *pool, struct log *log, const char *dir,
				    struct err *e)
{
	if (fs_mkdirs(dir, FOLDER_MODE, e) < 0 || sweep_temporary(dir, e) < 0) {
		err_wrap(e, "results folder");
		return NULL;
	}
	struct folder *f = xcalloc(1, sizeof(*f));
	f->base.ops = &folder_ops;
	f->pool = pool;
	f->log = log;
	f->dir = xstrdup(dir);
	return &f->base;
}
