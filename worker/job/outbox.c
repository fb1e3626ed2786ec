/* outbox.c - see outbox.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/outbox.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "lib/fs/journal.h"

#define MANIFEST_MAX  (8u << 20)
#define MANIFEST_NAME "manifest.json"
#define JOURNAL_NAME  "json.log"
#define PARKED_NAME   "parked"

struct outbox {
	char *dir;
	struct journal *journal;
};

struct outbox *outbox_new(const char *state_dir)
{
	struct outbox *o = xcalloc(1, sizeof *o);
	o->dir = fs_join(state_dir, "outbox");
	auto_free char *path = fs_join(o->dir, JOURNAL_NAME);
	o->journal = journal_new(path);
	return o;
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	journal_free(o->journal);
	free(o->dir);
	free(o);
}

/* ---- putting ---- */

static char *entry_name(const struct result *r)
{
	char hex[SHA256_HEX_LEN];
	auto_free char *both = xasprintf("%s\n%s", r->job_id, r->digest);
	sha256_hex(both, strlen(both), hex);
	return xstrdup(hex);
}

static int write_manifest(const char *dir, const struct result *r, struct err *e)
{
	auto_free char *text = result_encode(r);
	auto_free char *path = fs_join(dir, MANIFEST_NAME);
	return fs_write_atomic(path, text, strlen(text), 0600, e);
}

static char *file_in(const char *dir, const char *ext)
{
	return xasprintf("%s/result.%s", dir, ext);
}

static int stage(const char *dir, struct result *r, const char *file, struct err *e)
{
	char hex[SHA256_HEX_LEN];
	int rc = fs_remove_tree(dir, e);
	if (rc == 0)
		rc = fs_mkdirs(dir, 0700, e);
	if (rc == 0)
		rc = fs_size(file, &r->size, e);
	if (rc == 0)
		rc = sha256_file(file, hex, e);
	if (rc == 0)
		rc = fs_sync_file(file, e);
	if (rc < 0)
		return rc;
	str_replace(&r->sha256, hex);
	auto_free char *to = file_in(dir, r->ext);
	rc = fs_rename(file, to, e);
	return rc < 0 ? rc : write_manifest(dir, r, e);
}

static int put_bytes(struct outbox *o, struct result *r, const char *file, struct err *e)
{
	auto_free char *name = entry_name(r);
	auto_free char *dir = fs_join(o->dir, name);
	auto_free char *tmp = xasprintf("%s/.tmp-%s", o->dir, name);
	int rc = stage(tmp, r, file, e);
	/* The same task of the same job again, of which nobody knows: an older one that was given
	 * up. */
	if (rc == 0 && fs_exists(dir))
		rc = fs_remove_tree(dir, e);
	if (rc == 0)
		rc = fs_rename(tmp, dir, e);
	if (rc < 0) {
		(void)fs_remove_tree(tmp, NULL);
		(void)fs_remove_tree(dir, NULL);
		return rc;
	}
	r->file = file_in(dir, r->ext);
	r->dir = steal(&dir);
	r->verified = true;
	return 0;
}

static int put_json(struct outbox *o, struct result *r, struct err *e)
{
	auto_free char *head = result_encode(r);
	int rc = journal_put(o->journal, head, r->frame, &r->seq, e);
	if (rc != -ENOENT)
		return rc;
	rc = fs_mkdirs(o->dir, 0700, e); /* somebody removed the folder */
	return rc < 0 ? rc : journal_put(o->journal, head, r->frame, &r->seq, e);
}

int outbox_put(struct outbox *o, struct result *r, const char *file, struct err *e)
{
	int rc = result_is_bytes(r) ? put_bytes(o, r, file, e) : put_json(o, r, e);
	return rc < 0 ? err_wrap(e, "the result can't be kept in the outbox") : 0;
}

/* ---- removing ---- */

static char *beside(const char *dir, const char *prefix)
{
	const char *slash = strrchr(dir, '/');
	return xasprintf("%.*s/%s%s", (int)(slash - dir), dir, prefix, slash + 1);
}

int outbox_remove(struct outbox *o, const char *dir, struct err *e)
{
	(void)o;
	auto_free char *gone = beside(dir, ".tmp-gone-");
	int rc = fs_rename(dir, gone, e);
	if (rc < 0)
		return err_wrap(e, "can't remove a delivered result");
	return fs_remove_tree(gone, e);
}

int outbox_forget(struct outbox *o, const uint64_t *seqs, size_t n, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; i < n; i++) {
		int one = journal_drop(o->journal, seqs[i], rc == 0 ? e : NULL);
		rc = rc < 0 ? rc : one;
	}
	return rc;
}

int outbox_park(struct outbox *o, const char *dir, struct err *e)
{
	(void)o;
	auto_free char *path = fs_join(dir, PARKED_NAME);
	return fs_write_atomic(path, "", 0, 0600, e);
}

int outbox_set_aside(struct outbox *o, const char *dir, struct err *e)
{
	(void)o;
	auto_free char *to = beside(dir, ".broken-");
	(void)fs_remove_tree(to, NULL);
	return fs_rename(dir, to, e);
}

/* ---- counting ---- */

static void count_record(void *arg, uint64_t seq, const char *head, size_t head_len,
			 const char *body, size_t body_len)
{
	(void)seq, (void)head, (void)head_len, (void)body, (void)body_len;
	++*(size_t *)arg;
}

size_t outbox_count(const char *state_dir)
{
	struct outbox *o = outbox_new(state_dir);
	size_t count = 0, n = 0;
	char **names = NULL;
	bool torn;
	if (journal_load(o->journal, count_record, &count, &torn, NULL) < 0)
		count = 0;
	if (fs_list(o->dir, &names, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		auto_free char *manifest = xasprintf("%s/%s/" MANIFEST_NAME, o->dir, names[i]);
		count += names[i][0] != '.' && fs_exists(manifest);
	}
	fs_list_free(names, n);
	outbox_free(o);
	return count;
}

/* ---- loading ---- */

struct loading {
	struct outbox *o;
	struct log *log;
	struct result **items;
	size_t n, cap;
};

static void collect(struct loading *l, struct result *r)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->items = xrealloc(l->items, l->cap * sizeof *l->items);
	}
	l->items[l->n++] = r;
}

static int read_entry(const char *dir, struct result **out, struct err *e)
{
	auto_free char *path = fs_join(dir, MANIFEST_NAME);
	auto_free char *text = NULL;
	auto_free char *parked = fs_join(dir, PARKED_NAME);
	size_t len = 0;
	uint64_t size = 0;
	struct result *r = NULL;
	int rc = fs_read(path, MANIFEST_MAX, &text, &len, e);
	if (rc == 0)
		rc = result_decode(text, len, &r, e);
	if (!r)
		return rc;
	if (!r->sha256)
		rc = err_set(e, EPROTO, "the manifest names no file");
	else
		r->file = file_in(dir, r->ext);
	if (rc == 0)
		rc = fs_size(r->file, &size, e);
	if (rc == 0 && size != r->size)
		rc = err_set(e, EIO, "the file has %llu bytes instead of %llu",
			     (unsigned long long)size, (unsigned long long)r->size);
	if (rc < 0) {
		result_free(r);
		return rc;
	}
	r->dir = xstrdup(dir);
	r->parked = fs_exists(parked);
	*out = r;
	return 0;
}

static void load_entry(struct loading *l, const char *name)
{
	struct err e = ERR_INIT, aside = ERR_INIT;
	struct result *r = NULL;
	auto_free char *dir = fs_join(l->o->dir, name);
	if (read_entry(dir, &r, &e) == 0) {
		collect(l, r);
		return;
	}
	int rc = outbox_set_aside(l->o, dir, &aside);
	log_warn(l->log, "job", NULL, "outbox entry %s is broken (%s); %s", name, e.text,
		 rc < 0 ? aside.text : "set aside as .broken-*");
}

static void load_record(void *arg, uint64_t seq, const char *head, size_t head_len,
			const char *body, size_t body_len)
{
	struct loading *l = arg;
	struct err e = ERR_INIT;
	struct result *r = NULL;
	if (result_decode(head, head_len, &r, &e) < 0) {
		log_warn(l->log, "job", NULL, "outbox record %llu is broken: %s",
			 (unsigned long long)seq, e.text);
		return;
	}
	r->frame = xstrndup(body, body_len);
	r->seq = seq;
	collect(l, r);
}

/* A damaged end: the file is kept for a person, what was whole goes to a new one. */
static void renew_journal(struct loading *l)
{
	struct err e = ERR_INIT;
	auto_free char *path = fs_join(l->o->dir, JOURNAL_NAME);
	log_warn(l->log, "job", NULL, "the end of %s is damaged; set aside as .broken-%s", path,
		 JOURNAL_NAME);
	int rc = outbox_set_aside(l->o, path, &e);
	if (rc < 0) {
		log_warn(l->log, "job", NULL, "can't set it aside: %s", e.text);
		return;
	}
	journal_free(l->o->journal);
	l->o->journal = journal_new(path);
	for (size_t i = 0; i < l->n; i++)
		if (put_json(l->o, l->items[i], &e) < 0)
			log_warn(l->log, "job", l->items[i]->job_id, "can't keep a result: %s",
				 e.text);
}

static void load_journal(struct loading *l)
{
	struct err e = ERR_INIT;
	bool torn = false;
	if (journal_load(l->o->journal, load_record, l, &torn, &e) < 0)
		log_error(l->log, "job", NULL,
			  "can't read kept results: %s; jobs with a JSON result fail until this is "
			  "mended and the worker started again",
			  e.text);
	else if (torn)
		renew_journal(l);
}

static void load_name(struct loading *l, const char *name)
{
	if (name[0] == '.' && strstr(name, ".tmp-")) {
		auto_free char *path = fs_join(l->o->dir, name);
		(void)fs_remove_tree(path, NULL);
	} else if (name[0] != '.' && strcmp(name, JOURNAL_NAME) != 0) {
		load_entry(l, name);
	}
}

static int older_first(const void *a, const void *b)
{
	const struct result *x = *(struct result *const *)a, *y = *(struct result *const *)b;
	if (x->created_ms != y->created_ms)
		return x->created_ms < y->created_ms ? -1 : 1;
	return strcmp(x->job_id, y->job_id);
}

int outbox_load(struct outbox *o, struct log *log, struct result ***out, size_t *n, struct err *e)
{
	struct loading l = {.o = o, .log = log};
	char **names = NULL;
	size_t n_names = 0;
	*out = NULL;
	*n = 0;
	int rc = fs_mkdirs(o->dir, 0700, e);
	/* First: renewing it goes by what was collected. Also when the rest can't be read: else the
	 * next result would be written over it. */
	load_journal(&l);
	if (rc == 0)
		rc = fs_list(o->dir, &names, &n_names, e);
	if (rc < 0)
		err_wrap(e, "can't read all of the outbox");
	for (size_t i = 0; i < n_names; i++)
		load_name(&l, names[i]);
	fs_list_free(names, n_names);
	if (l.n)
		qsort(l.items, l.n, sizeof *l.items, older_first);
	*out = l.items;
	*n = l.n;
	return rc;
}
