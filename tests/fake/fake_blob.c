/* fake_blob.c - see fake_blob.h.
 * SPDX-License-Identifier: MIT */
#include "tests/fake/fake_blob.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "lib/fs/sha256.h"

#define BLOB_MAX (64u << 20)

struct blob {
	struct list_node node;
	char *name, *bytes;
	size_t len;
};

struct blob_world {
	struct list blobs;
};

struct fake_blob {
	struct blob_store store;
	struct blob_world *world;
	struct clock *clock;
	uint64_t (*delay)(void *arg);
	void *delay_arg;
	struct list steps; /* commits and listings under way */
};

struct blob_writer {
	struct fake_blob *fake;
	char *name;
	struct buf data;
};

struct step {
	struct list_node node;
	struct fake_blob *fake;
	struct timer timer;
	uint64_t rest;
	struct blob *blob; /* commit: what becomes durable */
	char hex[SHA256_HEX_LEN];
	uint64_t bytes;
	blob_done *done;
	blob_names *names; /* listing */
	void *arg;
};

struct blob_world *blob_world_new(void)
{
	struct blob_world *w = xcalloc(1, sizeof *w);
	list_init(&w->blobs);
	return w;
}

static void blob_free(struct blob *b)
{
	if (!b)
		return;
	free(b->name);
	free(b->bytes);
	free(b);
}

void blob_world_free(struct blob_world *w)
{
	for (struct list_node *n; (n = list_pop_front(&w->blobs));)
		blob_free(list_entry(n, struct blob, node));
	free(w);
}

static struct blob *find(const struct blob_world *w, const char *name)
{
	list_each (n, &w->blobs) {
		struct blob *b = list_entry(n, struct blob, node);
		if (!strcmp(b->name, name))
			return b;
	}
	return NULL;
}

const char *blob_world_get(const struct blob_world *w, const char *name, size_t *len)
{
	struct blob *b = find(w, name);
	if (!b)
		return NULL;
	*len = b->len;
	return b->bytes;
}

size_t blob_world_len(const struct blob_world *w)
{
	return w->blobs.len;
}

static struct fake_blob *fake_of(struct blob_store *b)
{
	return container_of(b, struct fake_blob, store);
}

static void remove_blob(struct blob_store *store, const char *name)
{
	struct fake_blob *f = fake_of(store);
	struct blob *b = find(f->world, name);
	if (!b)
		return;
	list_remove(&f->world->blobs, &b->node);
	blob_free(b);
}

/* ---- steps ---- */

static void step_free(struct step *s)
{
	timer_stop(&s->timer);
	list_remove(&s->fake->steps, &s->node);
	blob_free(s->blob);
	free(s);
}

static void list_names(struct step *s)
{
	struct blob_world *w = s->fake->world;
	struct err none = ERR_INIT;
	char **names = xcalloc(w->blobs.len, sizeof *names);
	size_t n = 0;
	list_each (it, &w->blobs)
		names[n++] = list_entry(it, struct blob, node)->name;
	s->names(s->arg, &none, names, n);
	free(names);
}

static void tell(void *arg)
{
	struct step *s = arg;
	struct step copy = *s;
	struct err none = ERR_INIT;
	if (s->names)
		list_names(s);
	step_free(s);
	if (copy.done)
		copy.done(copy.arg, &none, copy.bytes, copy.hex);
}

static void apply(struct step *s)
{
	if (!s->blob)
		return;
	remove_blob(&s->fake->store, s->blob->name);
	list_push_back(&s->fake->world->blobs, &s->blob->node);
	s->blob = NULL;
}

static void happen(void *arg)
{
	struct step *s = arg;
	apply(s);
	timer_start(&s->timer, s->fake->clock, s->rest, tell, s);
}

static struct step *step_new(struct fake_blob *f, void *arg)
{
	struct step *s = xcalloc(1, sizeof *s);
	uint64_t delay = f->delay ? f->delay(f->delay_arg) : 0;
	s->fake = f;
	s->arg = arg;
	s->rest = delay - delay / 2;
	list_push_back(&f->steps, &s->node);
	timer_start(&s->timer, f->clock, delay / 2, happen, s);
	return s;
}

/* ---- the seam ---- */

static struct blob_writer *open_writer(struct blob_store *b, const char *name, struct err *e)
{
	if (!blob_name_valid(name)) {
		err_set(e, EINVAL, "bad blob name");
		return NULL;
	}
	struct blob_writer *w = xcalloc(1, sizeof *w);
	w->fake = fake_of(b);
	w->name = xstrdup(name);
	buf_init(&w->data, BLOB_MAX);
	return w;
}

static int write_data(struct blob_writer *w, const void *data, size_t len, struct err *e)
{
	return buf_add(&w->data, data, len) ? 0 : err_set(e, EFBIG, "blob too large");
}

static void abort_writer(struct blob_writer *w)
{
	if (!w)
		return;
	free(w->name);
	buf_fini(&w->data);
	free(w);
}

static void commit(struct blob_writer *w, blob_done *done, void *arg)
{
	struct step *s = step_new(w->fake, arg);
	s->done = done;
	s->bytes = w->data.len;
	sha256_hex(w->data.data ? w->data.data : "", w->data.len, s->hex);
	s->blob = xcalloc(1, sizeof *s->blob);
	s->blob->name = steal(&w->name);
	s->blob->len = w->data.len;
	s->blob->bytes = buf_steal(&w->data);
	abort_writer(w);
}

static char *local_path(struct blob_store *b, const char *name, struct err *e)
{
	(void)b;
	err_set(e, ENOENT, "%s is in memory only", name);
	return NULL;
}

static void list_all(struct blob_store *b, blob_names *done, void *arg)
{
	step_new(fake_of(b), arg)->names = done;
}

void fake_blob_crash(struct blob_store *b)
{
	struct fake_blob *f = fake_of(b);
	list_each_safe (n, &f->steps)
		step_free(list_entry(n, struct step, node));
	free(f);
}

static void close_store(struct blob_store *b)
{
	list_each (n, &fake_of(b)->steps)
		apply(list_entry(n, struct step, node));
	fake_blob_crash(b);
}

static const struct blob_ops ops = {
    .name = "memory",
    .close = close_store,
    .open = open_writer,
    .write = write_data,
    .commit = commit,
    .abort = abort_writer,
    .remove = remove_blob,
    .path = local_path,
    .list = list_all,
};

struct blob_store *fake_blob_open(struct blob_world *w, struct clock *clock,
				  uint64_t (*delay)(void *arg), void *arg)
{
	struct fake_blob *f = xcalloc(1, sizeof *f);
	f->store.ops = &ops;
	f->world = w;
	f->clock = clock;
	f->delay = delay;
	f->delay_arg = arg;
	list_init(&f->steps);
	return &f->store;
}
