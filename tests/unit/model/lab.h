/* lab.h - a store on a folder of its own, a site to download from, and holds that are waited for.
 * Nothing sleeps: every wait runs the loop until what is awaited came, or fails at a deadline.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_MODEL_LAB_H
#define TESTS_MODEL_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "lib/net/net.h"
#include "tests/unit/model/site.h"
#include "worker/model/download_internal.h"
#include "worker/model/name.h"

#define MIB	     (1u << 20)
#define BODY_MAX     (24u * MIB)
#define DEADLINE_MS  30000
#define MAYBE_UNUSED __attribute__((unused))

struct lab {
	struct loop loop;
	struct log log;
	struct log_sink sink;
	struct transport *net;
	struct store *store;
	struct site *site;
	char root[64], origin[64], url[96];
	unsigned char *body, *other; /* random; BODY_MAX bytes each */
	struct timer limit;
	/* A pool on the loop thread, where fs_fault reaches it; used when `inline_pool` is set. */
	struct pool pool;
	bool inline_pool;
	struct list works;
	struct timer work_turn;
	char in_use[256]; /* a path that a warm engine has open */
	bool idle;	  /* it lets go when it is asked */
	char said[4096];  /* the log, its end */
};

struct held { /* one hold, and what came of it */
	struct hold *hold;
	struct lab *lab;
	bool done, retryable;
	char path[300];
	struct err err;
	unsigned progress;
	uint64_t most_done, total;
};

/* What each download waits for, for whoever reads a failure. */
static void describe_downloads(struct lab *l)
{
	list_each (n, &l->store->downloads) {
		struct download *d = download_of(n);
		print_error("state %d, jobs %zu, total %llu, done %llu, hashed %llu, wants %u\n",
			    (int)d->state, d->jobs, (unsigned long long)d->total,
			    (unsigned long long)extents_bytes(&d->done),
			    (unsigned long long)d->hasher.pos, d->width.want);
		for (size_t i = 0; i < WIDTH_MAX; i++) {
			struct range *r = &d->ranges[i];
			if (r->used)
				print_error("stream %zu: %llu of %llu to %llu%s%s, %zu wait\n", i,
					    (unsigned long long)r->pos, (unsigned long long)r->from,
					    (unsigned long long)r->end, r->fetch ? "" : ", ended",
					    r->paused ? ", paused" : "", r->queue.len);
		}
	}
}

static void too_late(void *arg)
{
	struct lab *l = arg;
	if (l->store)
		describe_downloads(l);
	fail_msg("what was awaited did not come in time; the log says: %s", l->said);
}

static MAYBE_UNUSED void await(struct lab *l, const bool *done)
{
	timer_start(&l->limit, &l->loop.clock, DEADLINE_MS, too_late, l);
	while (!*done)
		uv_run(&l->loop.uv, UV_RUN_ONCE);
	timer_stop(&l->limit);
}

#define await_that(l, what)                                                                        \
	do {                                                                                       \
		timer_start(&(l)->limit, &(l)->loop.clock, DEADLINE_MS, too_late, l);              \
		while (!(what))                                                                    \
			uv_run(&(l)->loop.uv, UV_RUN_ONCE);                                        \
		timer_stop(&(l)->limit);                                                           \
	} while (0)

static void work_turn(void *arg)
{
	struct lab *l = arg;
	struct list_node *n = list_pop_front(&l->works);
	if (!n)
		return;
	struct work *w = list_entry(n, struct work, node);
	if (l->works.len)
		timer_start(&l->work_turn, &l->loop.clock, 0, work_turn, l);
	w->run(w);
	if (w->after)
		w->after(w);
}

static void work_submit(struct pool *p, struct work *w)
{
	struct lab *l = container_of(p, struct lab, pool);
	list_push_back(&l->works, &w->node);
	timer_start(&l->work_turn, &l->loop.clock, 0, work_turn, l);
}

static void hear(struct log_sink *s, const struct log_entry *e)
{
	struct lab *l = container_of(s, struct lab, sink);
	size_t n = strlen(l->said);
	if (n + strlen(e->message) + 2 < sizeof l->said)
		snprintf(l->said + n, sizeof l->said - n, "%s\n", e->message);
}

static bool lab_in_use(void *arg, const char *path)
{
	struct lab *l = arg;
	return strcmp(l->in_use, path) == 0;
}

static bool lab_release(void *arg, const char *path)
{
	struct lab *l = arg;
	if (l->idle && strcmp(l->in_use, path) == 0)
		l->in_use[0] = '\0'; /* gone when it is looked at again */
	return l->idle;
}

static MAYBE_UNUSED void lab_open_store(struct lab *l)
{
	struct store_deps deps = {
	    .clock = &l->loop.clock,
	    .pool = l->inline_pool ? &l->pool : &l->loop.pool,
	    .log = &l->log,
	    .net = l->net,
	    .models_root = l->root,
	    .in_use = lab_in_use,
	    .release = lab_release,
	    .in_use_arg = l,
	};
	struct store_limits limits = {.studio_origin = l->origin};
	l->store = store_new(&deps);
	store_configure(l->store, &limits);
	l->store->tune = (struct store_tuning){
	    .stall_ms = 300, .backoff_ms = 4, .wait_ms = 20, .piece = 1u << 20, .give_up = 4};
}

static MAYBE_UNUSED void lab_close_store(struct lab *l)
{
	store_free(l->store);
	l->store = NULL;
	await_that(l, !l->loop.working && !l->works.len);
}

static MAYBE_UNUSED struct lab *lab_new(size_t size, bool inline_pool)
{
	struct err e = ERR_INIT;
	static unsigned char *bodies; /* the same for every lab: making them takes a while */
	struct rng rng;
	struct lab *l = xcalloc(1, sizeof *l);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	assert_int_equal(loop_init(&l->loop, &e), 0);
	log_init(&l->log, &l->loop.clock);
	l->sink.write = hear;
	log_add_sink(&l->log, &l->sink);
	list_init(&l->works);
	l->pool.submit = work_submit;
	l->inline_pool = inline_pool;
	l->net = net_new(&l->loop, &l->log, "studio-worker/test", &e);
	assert_non_null(l->net);
	if (!bodies) {
		bodies = xmalloc(2 * (size_t)BODY_MAX);
		rng_init_seeded(&rng, 4);
		rng_bytes(&rng, bodies, 2 * (size_t)BODY_MAX);
	}
	l->body = bodies;
	l->other = bodies + BODY_MAX;
	l->site = site_new(l->body, size);
	snprintf(l->origin, sizeof l->origin, "http://127.0.0.1:%d", l->site->port);
	snprintf(l->url, sizeof l->url, "%s/m.gguf", l->origin);
	snprintf(l->root, sizeof l->root, "/tmp/test-store-XXXXXX");
	assert_non_null(mkdtemp(l->root));
	lab_open_store(l);
	return l;
}

static MAYBE_UNUSED void lab_free(struct lab *l)
{
	if (l->store)
		lab_close_store(l);
	net_free(l->net);
	loop_fini(&l->loop);
	site_free(l->site);
	assert_int_equal(fs_remove_tree(l->root, NULL), 0);
	free(l);
}

static void held_progress(void *arg, const struct store_progress *p)
{
	struct held *h = arg;
	h->progress++;
	h->total = p->total;
	if (p->done > h->most_done)
		h->most_done = p->done;
}

static void held_end(void *arg, const char *const *paths, const struct err *err, bool retryable)
{
	struct held *h = arg;
	assert_false(h->done);
	h->done = true;
	h->retryable = retryable;
	if (err)
		h->err = *err;
	else
		snprintf(h->path, sizeof h->path, "%s", paths[0]);
}

static MAYBE_UNUSED void hold_file(struct lab *l, struct held *h, const char *model,
				   const struct source_file *f)
{
	static const struct store_events events = {held_progress, held_end};
	*h = (struct held){.lab = l};
	h->hold = store_hold(l->store, model, f, 1, "job-1", &events, h);
	assert_false(h->done); /* nothing calls back from inside the call */
}

static MAYBE_UNUSED struct source_file lab_file(struct lab *l, const char *sha256)
{
	return (struct source_file){.url = l->url,
				    .filename = (char *)(uintptr_t) "m.gguf",
				    .sha256 = (char *)(uintptr_t)sha256};
}

/* Holds, waits for the end, and releases. */
static MAYBE_UNUSED struct held lab_fetch(struct lab *l, const struct source_file *f)
{
	struct held h;
	hold_file(l, &h, "model", f);
	await(l, &h.done);
	hold_release(h.hold);
	return h;
}

static MAYBE_UNUSED void assert_bytes(const char *path, const unsigned char *body, size_t len)
{
	char *data;
	size_t n;
	struct err e = ERR_INIT;
	if (fs_read(path, BODY_MAX, &data, &n, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(n, len);
	assert_memory_equal(data, body, len);
	free(data);
}

static MAYBE_UNUSED void assert_fetched(struct lab *l, const struct held *h, size_t len)
{
	auto_free char *part = name_path(l->root, "model", "m.gguf", NAME_PART);
	auto_free char *ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
	if (h->err.code)
		fail_msg("%s; the log says: %s", h->err.text, l->said);
	assert_bytes(h->path, l->site->body, len);
	assert_false(fs_exists(part));
	assert_false(fs_exists(ledger));
}

static MAYBE_UNUSED void assert_failed(const struct held *h, int code, bool retryable,
				       const char *says)
{
	assert_int_not_equal(h->err.code, 0);
	if (code && h->err.code != code)
		fail_msg("%d, not %d: %s", h->err.code, code, h->err.text);
	if (!strstr(h->err.text, says))
		fail_msg("'%s' does not say '%s'", h->err.text, says);
	assert_int_equal(h->retryable, retryable);
}

static MAYBE_UNUSED char *lab_put(struct lab *l, const char *folder, const char *name,
				  const void *data, size_t len)
{
	auto_free char *dir = fs_join(l->root, folder);
	char *path = name_path(l->root, folder, name, "");
	assert_int_equal(fs_mkdirs(dir, 0755, NULL), 0);
	assert_int_equal(fs_write_atomic(path, data, len, 0644, NULL), 0);
	return path;
}

#endif
