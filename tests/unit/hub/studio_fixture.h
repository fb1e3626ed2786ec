/* studio_fixture.h - a hub with its queue over the memory storage, and workers whose sockets are
 * recorded. Included by the tests of the hub only; each is one program. SPDX-License-Identifier:
 * MIT */
#ifndef HUB_STUDIO_FIXTURE_H
#define HUB_STUDIO_FIXTURE_H

#pragma GCC diagnostic ignored "-Wunused-function"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include <string.h>

#include "lib/base/mem.h"
#include "studio/hub/hub.h"
#include "studio/hub/token.h"
#include "lib/wire/frame.h"

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct studio {
	struct clock clock;
	struct log log;
	struct rng rng;
	struct null_world *world;
	struct storage *storage;
	struct queue *queue;
	struct hub *hub;
	uint64_t delay; /* of the storage */
	struct job_record job;
	bool changed;
	int replies;
};

/* A worker's end of a socket. */
struct worker {
	struct conn conn; /* the hub's end; first */
	struct studio *studio;
	const char *id;
	struct studio_frame *frames[256]; /* received, oldest first */
	size_t n, read;
	int close_code; /* 0: open */
	bool full;	/* sends fail */
};

static int worker_send(struct conn *c, const char *text, size_t len, struct err *e)
{
	struct worker *w = (struct worker *)(void *)c;
	assert_int_equal(w->close_code, 0);
	if (w->full)
		return err_set(e, ENOBUFS, "full");
	assert_true(w->n < ARRAY_LEN(w->frames));
	assert_int_equal(studio_frame_decode(text, len, &w->frames[w->n++], e), 0);
	return 0;
}

static void worker_closed(struct conn *c, int code, const char *reason)
{
	struct worker *w = (struct worker *)(void *)c;
	assert_int_equal(w->close_code, 0);
	assert_true(strlen(reason) < 124);
	w->close_code = code;
}

static const struct transport_ops worker_ops = {
    .name = "recorded",
    .send = worker_send,
    .close = worker_closed,
};

static uint64_t studio_delay(void *arg)
{
	return ((struct studio *)arg)->delay;
}

static void studio_open(struct studio *s)
{
	s->storage = storage_null_open(s->world, &s->clock, studio_delay, s);
	struct queue_deps qd = {&s->clock, &s->log, &s->rng, s->storage};
	s->queue = queue_new(&qd);
	struct hub_deps hd = {
	    .clock = &s->clock,
	    .log = &s->log,
	    .queue = s->queue,
	    .storage = s->storage,
	    .grace_ms = 60000,
	    .offer_ms = 10000,
	    .idle_ms = 30000,
	    .hello_ms = 10000,
	};
	s->hub = hub_new(&hd);
}

static void studio_close(struct studio *s)
{
	hub_free(s->hub);
	queue_free(s->queue);
	s->storage->ops->close(s->storage);
}

/* Lets everything due now happen. */
static void run(struct studio *s)
{
	while (clock_next(&s->clock) == 0)
		clock_run(&s->clock);
}

static void pass(struct studio *s, uint64_t ms)
{
	uint64_t end = s->clock.mono_ms + ms;
	run(s);
	while (clock_next(&s->clock) <= end - s->clock.mono_ms) {
		uint64_t step = clock_next(&s->clock);
		clock_set(&s->clock, s->clock.mono_ms + step, s->clock.wall_ms + (int64_t)step);
		run(s);
	}
	uint64_t rest = end - s->clock.mono_ms;
	clock_set(&s->clock, end, s->clock.wall_ms + (int64_t)rest);
}

static int studio_set_up(void **state)
{
	struct studio *s = xcalloc(1, sizeof(*s));
	clock_init(&s->clock);
	clock_set(&s->clock, 1000, 1700000000000);
	log_init(&s->log, &s->clock);
	rng_init_seeded(&s->rng, 7);
	s->world = null_world_new();
	studio_open(s);
	run(s);
	*state = s;
	return 0;
}

static int studio_tear_down(void **state)
{
	struct studio *s = *state;
	studio_close(s);
	job_record_fini(&s->job);
	null_world_free(s->world);
	clock_fini(&s->clock);
	free(s);
	return 0;
}

/* ---- jobs ---- */

static void job_got(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct studio *s = arg;
	assert_int_equal(err->code, 0);
	job_record_fini(&s->job);
	s->changed = changed;
	job_record_copy(&s->job, job);
}

static char *job_submit(struct studio *s, const char *kind, const char *model)
{
	json_t *task = json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "kind", kind, "prompt", "p",
				 "messages", "role", "user", "content", "hello");
	json_t *source =
	    json_pack("{s:s, s:[], s:{}}", "engine", "synthetic", "files", "cliDefaults");
	struct job_record j = {
	    .game_id = (char *)(uintptr_t) "g",
	    .asset_name = (char *)(uintptr_t) "a",
	    .model = (char *)(uintptr_t)model,
	    .kind = (char *)(uintptr_t)kind,
	    .vram_gb_estimate = 2,
	    .task = task,
	    .source = source,
	};
	queue_submit(s->queue, &j, job_got, s);
	json_decref(task);
	json_decref(source);
	pass(s, s->delay);
	return xstrdup(s->job.id);
}

static void job_read(void *arg, const struct storage_reply *r)
{
	struct studio *s = arg;
	assert_int_equal(r->err->code, 0);
	job_record_fini(&s->job);
	job_record_copy(&s->job, &r->jobs[0]);
}

static const struct job_record *job_now(struct studio *s, const char *id)
{
	s->storage->ops->job_get(s->storage, id, job_read, s);
	pass(s, s->delay);
	return &s->job;
}

/* ---- workers ---- */

static void admit(struct studio *s, const char *id)
{
	char hash[SHA256_HEX_LEN];
	struct secret t = {0};
	struct request_record r = {
	    .id = (char *)(uintptr_t)id,
	    .install_id = (char *)(uintptr_t)id,
	    .secret_hash = (char *)(uintptr_t) "h",
	};
	secret_set(&t, TOKEN);
	token_hash(&t, hash);
	secret_clear(&t);
	s->storage->ops->request_open(s->storage, &r, NULL, NULL);
	s->storage->ops->request_decide(s->storage, id, true, id, NULL, 1, NULL, NULL);
	s->storage->ops->worker_set_token(s->storage, id, hash, NULL, NULL);
	pass(s, s->delay);
}

static void dial_with(struct studio *s, struct worker *w, const char *id, const char *token)
{
	struct secret t = {0};
	memset(w, 0, sizeof(*w));
	w->conn.ops = &worker_ops;
	w->studio = s;
	w->id = id;
	secret_set(&t, token);
	hub_connect(s->hub, &w->conn, id, &t);
	secret_clear(&t);
}

/* Sends and frees. */
static void say(struct worker *w, char *text)
{
	if (w->close_code == 0)
		w->conn.events->text(w->conn.arg, text, strlen(text));
	free(text);
	pass(w->studio, w->studio->delay);
}

static struct capabilities *able(void)
{
	struct capabilities *c = capabilities_new();
	str_replace(&c->engine, "multi");
	str_replace(&c->machine_name, "m");
	str_replace(&c->username, "u");
	str_replace(&c->agent_version, "1");
	c->vram_total_gb = c->vram_threshold_gb = 12;
	c->auto_enabled = true;
	for (int k = 0; k < KIND_COUNT; k++)
		capabilities_add_model(c, (enum kind)k, "synthetic");
	return c;
}

static void hello(struct worker *w, const char *token)
{
	struct secret t = {0};
	struct capabilities *c = able();
	secret_set(&t, token);
	say(w, frame_hello(&t, c));
	secret_clear(&t);
	capabilities_free(c);
}

static void beat_with(struct worker *w, struct capabilities *c, const char *job)
{
	say(w, frame_heartbeat(c, job));
	capabilities_free(c);
}

static void beat(struct worker *w)
{
	beat_with(w, able(), NULL);
}

static void drop_frames(struct worker *w)
{
	while (w->n)
		studio_frame_free(w->frames[--w->n]);
	w->read = 0;
}

/* The next frame of a type; those before it are skipped. NULL when there is none. */
static const struct studio_frame *next(struct worker *w, enum studio_frame_type type)
{
	while (w->read < w->n) {
		if (w->frames[w->read++]->type == type)
			return w->frames[w->read - 1];
	}
	return NULL;
}

static void cut_line(struct worker *w)
{
	struct conn_end end = {.kind = CONN_LOST, .text = "cut"};
	if (w->close_code == 0)
		w->conn.events->end(w->conn.arg, &end);
	w->close_code = -1;
	drop_frames(w);
	pass(w->studio, w->studio->delay);
}

/* Connected and welcomed, no heartbeat yet. */
static void join(struct studio *s, struct worker *w, const char *id)
{
	dial_with(s, w, id, TOKEN);
	hello(w, TOKEN);
	pass(s, 2 * s->delay);
	const struct studio_frame *f = next(w, SF_WELCOME);
	assert_non_null(f);
	assert_string_equal(f->worker_id, id);
	assert_int_equal(f->features, FEATURES_ALL);
}

static void join_with(struct studio *s, struct worker *w, const char *id, unsigned features)
{
	join(s, w, id);
	say(w, frame_features(features));
}

static const char *offered(struct worker *w)
{
	const struct studio_frame *f = next(w, SF_OFFER);
	return f ? f->claim->job_id : NULL;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, studio_set_up, studio_tear_down)

#endif
