/* server.c - a job on sd-server:
 *
 *   (fresh: GET capabilities ──▶) POST img_gen or vid_gen ──▶ GET jobs/ID, again and again ──▶
 * spool
 *
 * The answer to the last poll is the picture; it is written to disk as it comes in. When to ask is
 * told by the server's output: it says when a picture is done, so that short jobs cost no waiting
 * and long ones no polling. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/sd-cpp/run.h"

/* A working sd-server answers in a few milliseconds, also while it generates. */
#define SUBMIT_STALL_MS 60000 /* it decodes the pictures of the request first */
#define POLL_STALL_MS	20000
#define SMALL_ANSWER	(256u << 10)
#define LAST_WORDS_MS	50 /* an error line comes by another way than the answer */

static void poll_later(struct engine_run *r);

/* Tried again on a fresh server; the lease adds what the engine said last. */
static void broken(struct engine_run *r, int code, const char *words)
{
	struct err e = ERR_INIT;
	err_set(&e, code, "%s", words);
	served_broken(r->served, &e);
}

static void let_go(struct engine_run *r)
{
	timer_stop(&r->timer);
	fetch_cancel(steal(&r->fetch));
	spool_drop(steal(&r->spool));
	scan_fini(&r->scan);
	r->id[0] = '\0';
}

/* The server works, but not on this. */
static void refuse(struct engine_run *r, const struct err *e, bool retryable)
{
	struct err copy = *e;
	let_go(r);
	served_refused(steal(&r->served));
	sd_run_finish(r, &copy, retryable);
}

static void refuse_now(void *arg)
{
	struct engine_run *r = arg;
	struct err e = r->stream_err;
	if (r->error_line[0])
		err_set(&e, e.code, "%s: %s", r->stream_err.text, r->error_line);
	refuse(r, &e, e.code != EINVAL);
}

/* EINVAL: the same request would be refused anywhere. */
static void refuse_later(struct engine_run *r, int code, const char *words)
{
	err_clear(&r->stream_err);
	err_set(&r->stream_err, code, "sd-server: %s", words);
	timer_start(&r->timer, r->engine->env.clock, r->error_line[0] ? 0 : LAST_WORDS_MS,
		    refuse_now, r);
}

/* ---- the end: what came in is checked ---- */

static void checked(struct engine_run *r)
{
	if (r->cancelled)
		return; /* the lease's end is the run's */
	if (r->work_err.code == EPROTO) {
		broken(r, EPROTO, r->work_err.text);
		return;
	}
	if (r->work_err.code) {
		struct err e = r->work_err;
		refuse(r, &e, true);
		return;
	}
	let_go(r);
	served_good(steal(&r->served));
	outcome_deliver(r);
}

static void spooled(void *arg, const struct err *err)
{
	struct engine_run *r = arg;
	r->spool = NULL;
	if (r->cancelled)
		return;
	if (err)
		refuse(r, err, true); /* our disk, not the server */
	else
		outcome_check(r, checked);
}

static void room(void *arg)
{
	struct engine_run *r = arg;
	if (r->fetch)
		fetch_resume(r->fetch);
}

static void begin_answer(struct engine_run *r)
{
	static const struct spool_events events = {.room = room, .finished = spooled};
	scan_fini(&r->scan);
	scan_init(&r->scan, sd_plan_max_bytes(&r->plan));
	spool_drop(r->spool);
	sd_run_name_raw(r);
	r->spool = spool_new(r->engine->env.pool, r->raw, &events, r);
	err_clear(&r->stream_err);
	r->status = 0;
}

/* ---- polling ---- */

static const char *message_of(const json_t *o)
{
	const json_t *error = json_object_get(o, "error");
	const char *words = json_is_string(error)
				? json_string_value(error)
				: json_string_value(json_object_get(error, "message"));
	return words ? words : "no reason given";
}

static void polled_status(struct engine_run *r, const json_t *o)
{
	const char *status = json_string_value(json_object_get(o, "status"));
	if (!status)
		broken(r, EPROTO, "sd-server answered with garbage: no status");
	else if (strcmp(status, "queued") == 0 || strcmp(status, "generating") == 0)
		poll_later(r);
	else if (strcmp(status, "completed") != 0)
		refuse_later(r, EIO, message_of(o));
	else if (!scan_whole(&r->scan))
		broken(r, EPROTO,
		       "sd-server answered with garbage: a completed job without a picture");
	else
		spool_finish(r->spool);
}

static void poll_ended(void *arg, const struct fetch_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->fetch = NULL;
	if (r->cancelled)
		return;
	if (r->stream_err.code || end->fault != FETCH_OK) {
		e = r->stream_err.code ? r->stream_err : end->err;
		served_broken(r->served, &e);
		return;
	}
	json_t *o = r->scan.rest.len ? json_parse(r->scan.rest.data, r->scan.rest.len, &e) : NULL;
	if (r->status != 200)
		broken(r, EPROTO, "sd-server lost the job");
	else if (!json_is_object(o))
		broken(r, EPROTO, "sd-server answered with garbage");
	else
		polled_status(r, o);
	json_decref(o);
}

static bool poll_head(void *arg, const struct fetch_head *h)
{
	struct engine_run *r = arg;
	r->status = h->status;
	return true;
}

static enum fetch_verdict poll_data(void *arg, const void *data, size_t len)
{
	struct engine_run *r = arg;
	if (spool_full(r->spool))
		return FETCH_PAUSE;
	if (scan_feed(&r->scan, data, len, spool_buf(r->spool), &r->stream_err) < 0)
		return FETCH_STOP;
	if (r->scan.found)
		served_alive(r->served); /* "generating" is no sign of life: its output is */
	spool_push(r->spool);
	return FETCH_GO;
}

static void poll_now(void *arg)
{
	static const struct fetch_events events = {
	    .head = poll_head, .data = poll_data, .end = poll_ended};
	struct engine_run *r = arg;
	if (r->cancelled || r->fetch)
		return;
	timer_stop(&r->timer);
	begin_answer(r);
	auto_free char *url = xasprintf("%s/sdcpp/v1/jobs/%s", r->base_url, r->id);
	struct fetch_request q = {.url = url, .stall_ms = POLL_STALL_MS};
	r->fetch = fetch_start(r->engine->env.net, &q, &events, r);
}

/* Often at first, because a small picture takes a second; then the output tells. A picture is there
 * a few milliseconds after it does; a long film is packed for many seconds yet. */
static void poll_later(struct engine_run *r)
{
	uint64_t for_ms = clock_now(r->engine->env.clock) - r->asked_ms;
	uint64_t ms = for_ms < 2000 ? 10 : for_ms < 20000 ? 100 : for_ms < 120000 ? 500 : 1000;
	if (r->done_said)
		ms = r->n_asked < 5 ? 4u << r->n_asked++ : 100;
	timer_start(&r->timer, r->engine->env.clock, ms, poll_now, r);
}

/* ---- submitting ---- */

static bool take_id(struct engine_run *r, const char *id)
{
	size_t n = id ? strlen(id) : 0;
	if (n == 0 || n >= sizeof r->id)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)id[i]) && id[i] != '_' && id[i] != '-')
			return false;
	}
	memcpy(r->id, id, n + 1);
	return true;
}

static void submitted(void *arg, const struct fetch_reply *reply)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->fetch = NULL;
	if (r->cancelled)
		return;
	if (reply->status == 0) {
		served_broken(r->served, &reply->err);
		return;
	}
	json_t *o = json_parse(reply->body, reply->len, &e);
	if (reply->status == 400 && json_is_object(o)) {
		refuse_later(r, EINVAL, message_of(o));
	} else if (reply->status != 202 ||
		   !take_id(r, json_string_value(json_object_get(o, "id")))) {
		err_clear(&e);
		err_set(&e, EPROTO, "sd-server took no job: it answered %d", reply->status);
		broken(r, EPROTO, e.text);
	} else {
		served_alive(r->served);
		poll_later(r);
	}
	json_decref(o);
}

static void submit(struct engine_run *r)
{
	struct err e = ERR_INIT;
	if (r->n_loras && sd_files_link_loras(r->job, r->loras, r->dir, &e) < 0) {
		refuse(r, &e, true);
		return;
	}
	auto_free char *url =
	    xasprintf("%s/sdcpp/v1/%s", r->base_url, r->plan.video ? "vid_gen" : "img_gen");
	struct fetch_request q = {
	    .url = url, .body = r->body, .body_len = r->body_len, .stall_ms = SUBMIT_STALL_MS};
	r->asked_ms = clock_now(r->engine->env.clock);
	r->fetch = fetch_whole(r->engine->env.net, &q, SMALL_ANSWER, submitted, r);
}

static void told(void *arg, const struct fetch_reply *reply)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->fetch = NULL;
	if (r->cancelled)
		return;
	json_t *o = reply->status == 200 ? json_parse(reply->body, reply->len, &e) : NULL;
	if (!json_is_object(o)) {
		broken(r, EPROTO, "sd-server does not tell what it can do; is it another program?");
		json_decref(o);
		return;
	}
	facts_take(&r->engine->facts, o);
	json_decref(o);
	submit(r);
}

static void ask(void *arg, const struct warm *w)
{
	struct engine_run *r = arg;
	if (r->cancelled)
		return;
	str_replace(&r->base_url, w->base_url);
	str_replace(&r->dir, w->dir);
	r->standing = (struct standing){0};
	err_clear(&r->stream_err);
	r->done_said = false;
	r->n_asked = 0;
	r->error_line[0] = '\0';
	r->ev->progress(r->arg, STAGE_RUNNING, 0, "asked");
	if (!w->fresh) {
		submit(r);
		return;
	}
	auto_free char *url = xasprintf("%s/sdcpp/v1/capabilities", w->base_url);
	struct fetch_request q = {.url = url, .stall_ms = POLL_STALL_MS};
	r->fetch = fetch_whole(r->engine->env.net, &q, SMALL_ANSWER, told, r);
}

static void abandon(void *arg)
{
	let_go(arg);
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	bool before = r->done_said;
	if (r->cancelled || !r->served || !sd_run_line(r, fd, text))
		return;
	served_alive(r->served);
	if (r->done_said && !before && timer_running(&r->timer) && r->id[0] && !r->stream_err.code)
		timer_start(&r->timer, r->engine->env.clock, 0, poll_now, r);
}

static void loading(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, "loading the model");
}

static void failed(void *arg, const struct err *err, bool retryable)
{
	struct engine_run *r = arg;
	r->served = NULL;
	let_go(r);
	sd_run_finish(r, err, retryable);
}

static double loading_bar(const char *text)
{
	struct saying s = says(text);
	return s.what == SAYS_LOADING ? (double)s.step / s.of : -1;
}

static void context(struct engine_run *r, struct args *a)
{
	sd_args_pair(a, "--listen-ip", "127.0.0.1");
	sd_args_pair(a, "--listen-port", "{port}");
	/* The server's readiness is the model's, then. */
	sd_args_add(a, "--eager-load");
	/* A folder of links that grows: LoRAs belong to a job, not to the server. */
	sd_args_pair(a, "--lora-model-dir", "{dir}");
	sd_files_flags(r->job, a);
	sd_plan_flags(&r->plan, r->old_zero_flag, a);
}

void sd_server_start(struct engine_run *r)
{
	static const struct served_ops ops = {
	    .loading = loading, .ask = ask, .abandon = abandon, .line = line, .failed = failed};
	static const char *const env[] = {"GGML_NO_BACKTRACE=1", NULL};
	struct args a = {0};
	struct patience patience = sd_plan_patience(&r->plan);
	const char *files[PLAN_MAX_FILES + 1] = {NULL};
	context(r, &a);
	for (size_t i = 0; i < r->job->source->n_files && i < PLAN_MAX_FILES; i++)
		files[i] = r->job->files[i];
	struct served_spec spec = {
	    .warm = {.engine = "sd-cpp",
		     .model = r->job->model,
		     .program = r->engine->server,
		     .argv = a.items,
		     .env = env,
		     .files = files,
		     .ready_path = "/sdcpp/v1/capabilities",
		     .memory_bytes = r->job->memory_bytes,
		     .load_ms = warm_load_ms(files),
		     .lanes = 1, /* it works on one at a time */
		     .loading = loading_bar},
	    .job_id = r->job->job_id,
	    .silence_ms = patience.silence_ms,
	    .total_ms = patience.total_ms,
	};
	scan_init(&r->scan, 0);
	r->served = served_start(r->engine->env.host, r->engine->env.clock, r->engine->env.log,
				 &spec, &ops, r);
	sd_args_fini(&a);
}

/* A job that is being generated can't be stopped (409): its server is killed. */
void sd_server_cancel(struct engine_run *r)
{
	bool generating = (r->fetch || r->id[0]) && !r->working && !r->stream_err.code;
	let_go(r);
	served_cancel(r->served, generating);
}
