/* studio.c - the simulated studio: the real hub, queue and intake over storage and blobs in memory.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"
#include "studio/hub/hub.h"
#include "studio/hub/intake.h"
#include "studio/hub/token.h"
#include "tests/fake/fake_blob.h"
#include "tests/sim/sim.h"

struct studio {
	struct sim *sim;
	struct null_world *world; /* these two outlive a crash */
	struct blob_world *blob_world;
	bool up;
	struct timer restart;
	struct log log;
	struct log_sink sink;
	struct storage *storage;
	struct blob_store *blobs;
	struct queue *queue;
	struct hub *hub;
	struct intake_deps intake;
	struct list uploads;
};

struct upload {
	struct list_node node;
	struct studio *studio;
	struct fake_request *request;
	struct intake *intake;
	struct worker *worker;
	struct expect *job;
	struct timer timer;
	size_t sent;
	unsigned stage;
};

static uint64_t storage_delay(void *arg)
{
	struct sim *s = arg;
	return sim_one_in(s, 50) ? sim_between(s, 50, 800) : sim_between(s, 0, 6);
}

/* ---- uploads ---- */

static void upload_free(struct upload *u)
{
	timer_stop(&u->timer);
	list_remove(&u->studio->uploads, &u->node);
	free(u);
}

static void answer_upload(struct upload *u, int status, const char *text)
{
	sim_trace(u->studio->sim, "studio  answers %d to the upload of job %u by %s", status,
		  u->job->no, worker_id(u->worker));
	worker_answered(u->worker, u->job, status);
	fake_request_answer(u->request, status, text);
	upload_free(u);
}

static void on_answer(void *arg, int status, const char *code, const char *text)
{
	(void)code;
	answer_upload(arg, status, text ? text : "{}");
}

static bool send_part(struct upload *u, struct err *e)
{
	const struct fake_request *r = u->request;
	if (u->stage == 0)
		return intake_field(u->intake, "prompt", r->prompt, strlen(r->prompt), e) == 0;
	if (u->stage == 1)
		return intake_field(u->intake, "ext", r->ext, strlen(r->ext), e) == 0;
	size_t left = r->file_len - u->sent;
	size_t n = left < 600 ? left : 600;
	u->sent += n;
	return intake_data(u->intake, r->file + u->sent - n, n, e) == 0;
}

static void step_upload(void *arg)
{
	struct upload *u = arg;
	struct err e = ERR_INIT;
	if (u->stage >= 2 && u->sent == u->request->file_len) {
		intake_finish(u->intake); /* may answer at once */
		return;
	}
	if (!send_part(u, &e)) {
		intake_abort(u->intake);
		answer_upload(u, 400, e.text);
		return;
	}
	u->stage++;
	timer_start(&u->timer, &u->studio->sim->clock, sim_between(u->studio->sim, 0, 20),
		    step_upload, u);
}

static void on_checked(void *arg, int status, const char *code, const char *text)
{
	struct upload *u = arg;
	(void)code;
	if (status)
		answer_upload(u, status, text);
	else
		timer_start(&u->timer, &u->studio->sim->clock, 1, step_upload, u);
}

static void on_gone(void *arg)
{
	struct upload *u = arg;
	intake_abort(u->intake);
	upload_free(u);
}

static const struct intake_events intake_events = {on_checked, on_answer};

static struct worker *worker_of(struct sim *s, const char *id)
{
	for (unsigned i = 0; i < s->profile.workers; i++)
		if (!strcmp(worker_id(s->workers[i]), id))
			return s->workers[i];
	return NULL;
}

static void on_request(void *arg, struct fake_request *r)
{
	struct studio *st = arg;
	char wid[64] = "", jid[64] = "";
	const char *path = strstr(r->url, "/workers/");
	if (!path || sscanf(path, "/workers/%63[^/]/jobs/%63[^/]/complete", wid, jid) != 2) {
		fake_request_answer(r, 404, "{}");
		return;
	}
	struct upload *u = xcalloc(1, sizeof *u);
	u->studio = st;
	u->request = r;
	u->worker = worker_of(st->sim, wid);
	u->job = sim_expect(st->sim, jid);
	list_push_back(&st->uploads, &u->node);
	if (!u->worker || !u->job) {
		sim_violation(st->sim, "upload", "%s of nobody or of no job", r->url);
		return;
	}
	r->gone = on_gone;
	r->arg = u;
	sim_trace(st->sim, "studio  gets the upload of job %u by %s", u->job->no, wid);
	u->intake = intake_begin(&st->intake, wid, jid, &r->bearer, &intake_events, u);
}

/* ---- sockets ---- */

static void on_open(void *arg, struct conn *conn, const struct connect_request *r)
{
	struct studio *st = arg;
	char wid[64] = "";
	const char *path = strstr(r->url, "/workers/");
	if (!path || sscanf(path, "/workers/%63[^/]/connect", wid) != 1)
		sim_violation(st->sim, "connect", "%s", r->url);
	sim_trace(st->sim, "studio  gets a socket from %s", wid);
	hub_connect(st->hub, conn, wid, r->bearer);
}

static const struct fake_server server = {.open = on_open, .request = on_request};

/* ---- life ---- */

static void on_log(struct log_sink *sink, const struct log_entry *e)
{
	struct studio *st = container_of(sink, struct studio, sink);
	sim_trace_log(st->sim, "studio", e);
}

void studio_start(struct studio *st)
{
	struct sim *s = st->sim;
	sim_trace(s, "studio  starts");
	timer_stop(&st->restart);
	list_init(&st->uploads);
	log_init(&st->log, &s->clock);
	st->sink.write = on_log;
	log_add_sink(&st->log, &st->sink);
	st->storage = storage_null_open(st->world, &s->clock, storage_delay, s);
	st->blobs = fake_blob_open(st->blob_world, &s->clock, storage_delay, s);
	struct queue_deps q = {&s->clock, &st->log, &s->rng, st->storage};
	st->queue = queue_new(&q);
	struct hub_deps h = {
	    .clock = &s->clock,
	    .log = &st->log,
	    .queue = st->queue,
	    .storage = st->storage,
	    .grace_ms = 60000,
	    .offer_ms = 10000,
	    .idle_ms = 30000,
	    .hello_ms = 10000,
	};
	st->hub = hub_new(&h);
	st->intake = (struct intake_deps){
	    .queue = st->queue,
	    .storage = st->storage,
	    .blobs = st->blobs,
	    .hub = st->hub,
	    .log = &st->log,
	    .rng = &s->rng,
	    .max_bytes = 1u << 20,
	};
	s->net.server = &server;
	s->net.server_arg = st;
	st->up = true;
}

static void on_restart(void *arg)
{
	studio_start(arg);
}

void studio_crash(struct studio *st, uint64_t back_ms)
{
	struct sim *s = st->sim;
	if (!st->up)
		return;
	sim_trace(s, "studio  CRASHES, back in %llu ms", (unsigned long long)back_ms);
	st->up = false;
	fake_net_crash_server(&s->net);
	while (!list_empty(&st->uploads))
		upload_free(list_entry(list_first(&st->uploads), struct upload, node));
	hub_free(st->hub);
	queue_free(st->queue);
	storage_null_crash(st->storage);
	fake_blob_crash(st->blobs);
	log_remove_sink(&st->log, &st->sink);
	/* Who submitted and heard nothing asks again. */
	for (unsigned i = 0; i < s->profile.jobs; i++)
		s->jobs[i].submitting = false;
	timer_start(&st->restart, &s->clock, back_ms, on_restart, st);
}

bool studio_up(const struct studio *st)
{
	return st->up;
}

struct studio *studio_new(struct sim *s)
{
	struct studio *st = xcalloc(1, sizeof *st);
	st->sim = s;
	st->world = null_world_new();
	st->blob_world = blob_world_new();
	studio_start(st);
	return st;
}

void studio_free(struct studio *st)
{
	studio_crash(st, 0);
	timer_stop(&st->restart);
	null_world_free(st->world);
	blob_world_free(st->blob_world);
	free(st);
}

struct null_world *studio_world(struct studio *st)
{
	return st->world;
}

struct blob_world *studio_blobs(struct studio *st)
{
	return st->blob_world;
}

/* ---- its front door ---- */

static void on_submitted(void *arg, const struct err *err, bool changed,
			 const struct job_record *job)
{
	struct expect *x = arg;
	(void)changed, (void)job;
	x->submitting = false;
	if (err->code)
		return;
	x->acked = true;
	sim_trace(x->sim, "client  job %u is accepted", x->no);
}

static json_t *task_of(const struct expect *x)
{
	const char *kind = kind_name(x->kind);
	if (x->kind == KIND_LLM)
		return json_pack("{s:s, s:[{s:s, s:s}]}", "kind", kind, "messages", "role", "user",
				 "content", x->prompt);
	const char *field = x->kind == KIND_STT	  ? "inputUrl"
			    : x->kind == KIND_TTS ? "text"
						  : "prompt";
	return json_pack("{s:s, s:s}", "kind", kind, field, x->prompt);
}

void studio_submit(struct studio *st, struct expect *x)
{
	static const char *const models[] = {"fake-image", "fake-llm", "fake-stt", "fake-tts",
					     "fake-video"};
	char name[16];
	snprintf(name, sizeof name, "%u", x->no);
	struct job_record job = {
	    .game_id = (char[]){"sim"},
	    .asset_name = name,
	    .model = (char *)(uintptr_t)models[x->kind],
	    .kind = (char *)(uintptr_t)kind_name(x->kind),
	    .vram_gb_estimate = 1,
	    .task = task_of(x),
	    .source = json_pack("{s:s}", "engine", "fake"),
	};
	x->submitting = true;
	queue_submit(st->queue, &job, on_submitted, x);
	json_decref(job.task);
	json_decref(job.source);
}

static void on_cancelled(void *arg, const struct err *err, bool changed,
			 const struct job_record *job)
{
	struct studio *st = arg;
	if (!err->code && changed)
		hub_job_cancelled(st->hub, job);
}

void studio_cancel(struct studio *st, struct expect *x)
{
	if (!st->up || !x->id)
		return;
	sim_trace(st->sim, "client  cancels job %u", x->no);
	x->cancelled = true;
	queue_cancel(st->queue, x->id, on_cancelled, st);
}

void studio_admit(struct studio *st, const char *worker_id_, const struct secret *token)
{
	char hash[SHA256_HEX_LEN];
	struct storage *storage = storage_null_open(st->world, &st->sim->clock, NULL, NULL);
	auto_free char *id = xasprintf("rr-%s", worker_id_);
	struct request_record r = {
	    .id = id,
	    .install_id = (char *)(uintptr_t)worker_id_,
	    .secret_hash = (char[]){"-"},
	    .status = (char[]){"pending"},
	    .capabilities = json_object(),
	};
	token_hash(token, hash);
	storage->ops->request_open(storage, &r, NULL, NULL);
	storage->ops->request_decide(storage, id, true, worker_id_, NULL, 0, NULL, NULL);
	storage->ops->worker_set_token(storage, worker_id_, hash, NULL, NULL);
	storage->ops->close(storage); /* applies all of it now */
	json_decref(r.capabilities);
}
