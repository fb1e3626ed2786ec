/* check.c - the invariants; docs/simulator.md says them in words.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"
#include "studio/storage/storage.h"
#include "studio/storage/world.h"
#include "tests/fake/fake_blob.h"
#include "tests/fake/fake_engine.h"
#include "tests/sim/sim.h"

/* ---- the storage: after every operation ---- */

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* done without the result that the engine must give, byte for byte */
static void check_result(struct sim *s, const struct expect *x, const struct job_record *job)
{
	if (!kind_is_bytes(x->kind)) {
		json_t *must = fake_result_json(x->id, x->prompt);
		if (!job->result || !json_equal(job->result, must))
			sim_violation(s, "done", "job %u is done with another result", x->no);
		json_decref(must);
		return;
	}
	size_t len, must_len;
	const char *bytes =
	    job->blob ? blob_world_get(studio_blobs(s->studio), job->blob, &len) : NULL;
	auto_free char *must = fake_result_bytes(x->id, x->prompt, &must_len);
	if (!bytes)
		sim_violation(s, "done", "job %u is done, its result is not stored", x->no);
	else if (len != must_len || memcmp(bytes, must, len) != 0)
		sim_violation(s, "done", "job %u is done with other bytes", x->no);
	if (!same(job->prompt, x->prompt))
		sim_violation(s, "done", "job %u is done with another prompt", x->no);
}

/* Who may hold it after whom: never from one worker to another but through the queue. */
static bool may_move(const struct expect *x, const struct job_record *job)
{
	bool mine = same(x->holder, job->worker_id);
	switch (x->state) {
	case -1:
		return job->state == JOB_QUEUED;
	case JOB_QUEUED:
		return job->state == JOB_OFFERED || job->state == JOB_CLAIMED ||
		       (job->state == JOB_FAILED && x->cancelled);
	case JOB_OFFERED:
		return job->state == JOB_QUEUED || (job->state == JOB_CLAIMED && mine) ||
		       (job->state == JOB_FAILED && x->cancelled);
	case JOB_CLAIMED:
		return job->state == JOB_QUEUED || (job->state == JOB_DONE && mine) ||
		       job->state == JOB_FAILED;
	default:
		return false;
	}
}

static void check_failed(struct sim *s, const struct expect *x)
{
	if (!x->cancelled && !x->hard_fails && x->fails < 3)
		sim_violation(s, "failed", "job %u failed after %u failures", x->no, x->fails);
}

static void moved(struct sim *s, struct expect *x, const struct job_record *job)
{
	static const char *const names[] = {"queued", "offered", "claimed", "done", "failed"};
	sim_trace(s, "storage job %u: %s -> %s %s", x->no, x->state < 0 ? "-" : names[x->state],
		  names[job->state], job->worker_id ? job->worker_id : "");
	if (!may_move(x, job))
		sim_violation(s, x->holder && job->worker_id ? "holders" : "moves",
			      "job %u went from %s (%s) to %s (%s)", x->no,
			      x->state < 0 ? "-" : names[x->state], x->holder ? x->holder : "-",
			      names[job->state], job->worker_id ? job->worker_id : "-");
	x->state = (int)job->state;
	str_replace(&x->holder, job->worker_id);
	if (job->state == JOB_DONE)
		check_result(s, x, job);
	else if (job->state == JOB_FAILED)
		check_failed(s, x);
}

static void look(void *arg, const struct job_record *job)
{
	struct sim *s = arg;
	unsigned no = SIM_JOBS_MAX;
	if (!job->asset_name || sscanf(job->asset_name, "%u", &no) != 1 || no >= s->profile.jobs) {
		sim_violation(s, "unknown", "a job nobody submitted is in storage");
		return;
	}
	struct expect *x = &s->jobs[no];
	if (x->id && strcmp(x->id, job->id) != 0)
		sim_violation(s, "doubled", "job %u is in storage twice", no);
	if (!x->id)
		x->id = xstrdup(job->id);
	x->seen = s->looks;
	if (x->state != (int)job->state || !same(x->holder, job->worker_id))
		moved(s, x, job);
}

void check_storage(struct sim *s)
{
	struct null_world *world = studio_world(s->studio);
	if (null_world_applied(world) == s->looked)
		return;
	s->looked = null_world_applied(world);
	s->looks++;
	null_world_jobs(world, look, s);
	for (unsigned i = 0; i < s->profile.jobs; i++)
		if (s->jobs[i].id && s->jobs[i].seen != s->looks)
			sim_violation(s, "lost", "job %u is not in storage any more", i);
}

/* ---- the wire ---- */

static bool is(const char *text, const char *type)
{
	static const char head[] = "{\"type\":\"";
	size_t n = strlen(type);
	return !strncmp(text, head, sizeof head - 1) && !strncmp(text + sizeof head - 1, type, n) &&
	       text[sizeof head - 1 + n] == '"';
}

static struct expect *job_in(struct sim *s, const char *text)
{
	char id[64] = "";
	const char *at = strstr(text, "\"jobId\":\"");
	if (!at || sscanf(at, "\"jobId\":\"%63[^\"]", id) != 1)
		return NULL;
	return sim_expect(s, id);
}

/* The reservation is stored before the offer leaves, and the worker is neither paused nor busy as
 * far as the studio was told. */
static void check_offer(struct sim *s, struct worker *w, const char *text)
{
	check_storage(s);
	struct expect *x = job_in(s, text);
	struct told *told = worker_told(w);
	if (!x) {
		sim_violation(s, "offer", "an offer of an unknown job");
		return;
	}
	/* A client's cancel may fall between the reservation and the studio hearing of it. */
	bool reserved = x->state == JOB_OFFERED || (x->state == JOB_FAILED && x->cancelled);
	if (!reserved || !same(x->holder, worker_id(w)))
		sim_violation(s, "offer", "job %u is offered to %s without a reservation", x->no,
			      worker_id(w));
	if (!told->enabled)
		sim_violation(s, "slot", "job %u is offered to %s, which is paused", x->no,
			      worker_id(w));
	for (unsigned i = 0; i < s->profile.jobs; i++) {
		const struct expect *o = &s->jobs[i];
		bool held = o->state == JOB_OFFERED || o->state == JOB_CLAIMED;
		if (o != x && held && same(o->holder, worker_id(w)) && !told->finished[i])
			sim_violation(s, "slot", "job %u is offered to %s, which has job %u", x->no,
				      worker_id(w), i);
	}
}

/* A copy without the member that begins so and ends with that. */
static char *without(const char *text, const char *begin, char end)
{
	char *copy = xstrdup(text);
	char *from = strstr(copy, begin);
	char *to = from ? strchr(from + strlen(begin), end) : NULL;
	if (to)
		memmove(from, to + 1, strlen(to + 1) + 1);
	return copy;
}

/* A peer without extensions never sees a trace of them: what the studio announces is cut out. */
static char *studio_sends(struct sim *s, struct worker *w, const char *text)
{
	if (is(text, "welcome"))
		return worker_knows_extensions(w) ? NULL : without(text, ",\"features\":[", ']');
	if (is(text, "offer"))
		check_offer(s, w, text);
	else if (is(text, "error") && strstr(text, "protocol_violation"))
		sim_violation(s, "protocol", "the studio accuses %s: %.200s", worker_id(w), text);
	return NULL;
}

static void hear_resume(struct sim *s, struct worker *w, const char *text, size_t len)
{
	struct told *told = worker_told(w);
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	memset(told->finished, 0, sizeof told->finished);
	if (worker_frame_decode(text, len, &f, &e))
		return;
	for (size_t i = 0; i < f->n_resume; i++) {
		struct expect *x = sim_expect(s, f->resume[i].job_id);
		if (x && f->resume[i].finished)
			told->finished[x->no] = true;
	}
	worker_frame_free(f);
}

static void studio_hears(struct sim *s, struct worker *w, const char *text, size_t len)
{
	struct told *told = worker_told(w);
	struct expect *x;
	if (is(text, "hello") || is(text, "heartbeat")) {
		told->enabled = !strstr(text, "\"autoEnabled\":false");
		if (is(text, "hello"))
			memset(told->finished, 0, sizeof told->finished);
	} else if (is(text, "resume")) {
		hear_resume(s, w, text, len);
	} else if (is(text, "accept") && (x = job_in(s, text))) {
		told->finished[x->no] = false;
	} else if (is(text, "fail") && (x = job_in(s, text))) {
		x->fails++;
		x->hard_fails += strstr(text, "\"retryable\":false") != NULL;
	}
}

static bool dull(const char *text)
{
	return is(text, "heartbeat") || is(text, "heartbeatAck") || is(text, "logBatch") ||
	       is(text, "progress");
}

static void note(struct sim *s, struct worker *w, bool by_studio, bool arrives, const char *text)
{
	char type[24] = "?";
	if (dull(text))
		return;
	struct expect *x = job_in(s, text);
	(void)!sscanf(text, "{\"type\":\"%23[^\"]", type);
	sim_trace(s, "wire    %s %s %s %s job %d", worker_id(w), by_studio ? "<-" : "->", type,
		  arrives ? "arrives" : "leaves", x ? (int)x->no : -1);
}

char *check_tap(void *arg, struct fake_client *c, bool by_studio, bool arrives, const char *text,
		size_t len)
{
	struct sim *s = arg;
	struct worker *w = c->owner;
	note(s, w, by_studio, arrives, text);
	if (by_studio && !arrives)
		return studio_sends(s, w, text);
	if (!arrives && s->profile.blind && is(text, "heartbeat"))
		return without(text, ",\"currentJobId\":\"", '"');
	if (!by_studio && arrives)
		studio_hears(s, w, text, len);
	return NULL;
}

/* ---- the end ---- */

bool check_over(struct sim *s)
{
	if (!s->healed || !studio_up(s->studio))
		return false;
	for (unsigned i = 0; i < s->profile.jobs; i++)
		if (s->jobs[i].state != JOB_DONE && s->jobs[i].state != JOB_FAILED)
			return false;
	for (unsigned i = 0; i < s->profile.workers; i++)
		if (!worker_gone(s->workers[i]) &&
		    (!worker_serving(s->workers[i]) || worker_outbox(s->workers[i])))
			return false;
	return true;
}

static void look_again(void *arg, const struct job_record *job)
{
	struct sim *s = arg;
	struct expect *x = sim_expect(s, job->id);
	if (x && job->state == JOB_DONE)
		check_result(s, x, job);
}

void check_end(struct sim *s)
{
	null_world_jobs(studio_world(s->studio), look_again, s);
}
