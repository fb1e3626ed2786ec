/* run.c - see run.h. A try begins with ask() and ends with the end of its fetch or with abandon().
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/llama-cpp/chat.h"

#define TELL_MS 250 /* least time between two progress events */
/* A machine without GPU reads 20 tokens a second of a big model's prompt and writes 1; a token has
 * some three bytes. The server says after every batch how far it read, if it is not too old. */
#define SILENCE_MS	60000
#define PROMPT_TOKEN_MS 50
#define TOKEN_BYTES	3
#define TOKEN_MS	1000

struct engine_run *run_new(struct llama *l, const struct engine_job *job,
			   const struct engine_events *ev, void *arg, struct err *err)
{
	struct flags_files files;
	if (flags_files(job->source, job->files, &files, err) < 0)
		return NULL;
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.llama = l, .job = job, .ev = ev, .arg = arg, .files = files};
	r->body = chat_request(&job->task->llm, job->source->cli_defaults, job->model);
	buf_init(&r->refusal, ANSWER_MAX_ERROR);
	answer_init(&r->answer);
	return r;
}

void run_free(struct engine_run *r)
{
	fetch_cancel(r->fetch);
	sse_fini(&r->sse);
	answer_fini(&r->answer);
	buf_fini(&r->refusal);
	free(r->body);
	free(r);
}

void run_end(struct engine_run *r, json_t *result, const struct err *error, bool retryable)
{
	struct engine_result out = {.json = result};
	struct err copy = error ? *error : (struct err)ERR_INIT;
	r->ev->end(r->arg, result ? &out : NULL, result ? NULL : &copy, retryable);
	json_decref(result);
	run_free(r);
}

/* ---- progress ---- */

static void tell(struct engine_run *r, double fraction, const char *detail)
{
	uint64_t now = clock_now(r->llama->env.clock);
	if (r->told_ms && now - r->told_ms < TELL_MS)
		return;
	r->told_ms = now;
	r->ev->progress(r->arg, STAGE_RUNNING, fraction, detail);
}

static void tell_tokens(struct engine_run *r)
{
	char detail[96];
	uint64_t n = r->answer.chunks, now = clock_now(r->llama->env.clock);
	if (!r->first_ms)
		r->first_ms = now;
	double seconds = (double)(now - r->first_ms) / 1000;
	double fraction = (double)n / (double)r->job->task->llm.max_tokens;
	if (seconds > 0 && n > 1)
		snprintf(detail, sizeof detail, "%llu tokens, %.3g tok/s", (unsigned long long)n,
			 (double)(n - 1) / seconds);
	else
		snprintf(detail, sizeof detail, "%llu tokens", (unsigned long long)n);
	tell(r, fraction > 1 ? 1 : fraction, detail);
}

static void tell_prompt(struct engine_run *r)
{
	char detail[96];
	snprintf(detail, sizeof detail, "read %llu of %llu tokens of the prompt",
		 (unsigned long long)r->answer.prompt_done,
		 (unsigned long long)r->answer.prompt_total);
	tell(r, -1, detail);
}

/* ---- the answer ---- */

static bool event(void *arg, const char *data, size_t len)
{
	struct engine_run *r = arg;
	uint64_t chunks = r->answer.chunks, prompt = r->answer.prompt_done;
	r->events = true;
	r->state = answer_take(&r->answer, data, len, &r->why);
	if (r->answer.chunks != chunks)
		tell_tokens(r);
	else if (r->answer.prompt_done != prompt)
		tell_prompt(r);
	else
		return r->state == ANSWER_MORE;
	/* Pings are no sign of life: the thread that sends them computes nothing. */
	served_alive(r->served);
	return r->state == ANSWER_MORE;
}

static bool head(void *arg, const struct fetch_head *h)
{
	struct engine_run *r = arg;
	r->status = h->status;
	return true;
}

static enum fetch_verdict data(void *arg, const void *bytes, size_t len)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	if (r->status != 200)
		return buf_add(&r->refusal, bytes, len) ? FETCH_GO : FETCH_STOP;
	if (sse_feed(&r->sse, bytes, len, &e) == 0)
		return FETCH_GO;
	if (r->state == ANSWER_MORE) {
		r->state = ANSWER_BROKEN;
		err_set(&r->why, EPROTO, "llama-server answered garbage: %s", e.text);
	}
	return FETCH_STOP;
}

static size_t json_size(json_t *v)
{
	return json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* With its prompt in one frame, beside a job id. */
static bool fits_frame(const struct engine_run *r, json_t *result)
{
	json_t *prompt = json_string(task_prompt(r->job->task));
	size_t size = json_size(result) + json_size(prompt) + 4096;
	json_decref(prompt);
	return size <= FRAME_MAX_BYTES;
}

static void good(struct engine_run *r)
{
	json_t *result = answer_result(&r->answer);
	served_good(steal(&r->served));
	if (fits_frame(r, result)) {
		run_end(r, result, NULL, false);
		return;
	}
	json_decref(result);
	err_set(&r->why, EFBIG, "the answer is too big for a frame of %u MiB; ask for fewer tokens",
		FRAME_MAX_BYTES >> 20);
	run_end(r, NULL, &r->why, false);
}

static void conclude(struct engine_run *r)
{
	switch (r->state) {
	case ANSWER_DONE:
		good(r);
		break;
	case ANSWER_REFUSED:
	case ANSWER_TOO_BIG:
		served_refused(steal(&r->served));
		run_end(r, NULL, &r->why, false);
		break;
	case ANSWER_MORE:
		err_set(&r->why, EPROTO,
			r->events ? "llama-server ended its answer in the middle"
				  : "llama-server answered garbage: no event at all");
		served_broken(r->served, &r->why);
		break;
	case ANSWER_BROKEN:
		served_broken(r->served, &r->why);
		break;
	}
}

static void answered(void *arg, const struct fetch_end *end)
{
	struct engine_run *r = arg;
	r->fetch = NULL;
	if (r->status == 0 || end->fault == FETCH_NETWORK || end->fault == FETCH_STALLED) {
		r->why = end->err;
		err_wrap(&r->why, "llama-server did not answer");
		served_broken(r->served, &r->why);
		return;
	}
	if (r->status != 200)
		r->state = answer_refusal(r->status, r->refusal.data ? r->refusal.data : "",
					  r->refusal.len, &r->why);
	conclude(r);
}

/* ---- a try ---- */

static void forget(struct engine_run *r)
{
	fetch_cancel(steal(&r->fetch));
	sse_fini(&r->sse);
	answer_fini(&r->answer);
	answer_init(&r->answer);
	buf_reset(&r->refusal);
	err_clear(&r->why);
	r->state = ANSWER_MORE;
	r->status = 0;
	r->events = false;
	r->first_ms = r->told_ms = 0;
}

static void ask(void *arg, const struct warm *w)
{
	static const struct sse_events events = {.event = event};
	static const struct fetch_events fetching = {.head = head, .data = data, .end = answered};
	struct engine_run *r = arg;
	forget(r);
	sse_init(&r->sse, ANSWER_MAX_EVENT, &events, r);
	auto_free char *url = xasprintf("%s/v1/chat/completions", w->base_url);
	struct fetch_request request = {
	    .url = url,
	    .bearer = w->key,
	    .body = r->body,
	    .body_len = strlen(r->body),
	};
	r->ev->progress(r->arg, STAGE_RUNNING, -1, "reading the prompt");
	r->fetch = fetch_start(r->llama->env.net, &request, &fetching, r);
}

static void abandon(void *arg)
{
	forget(arg);
}

static void loading(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, r->job->model);
}

static void failed(void *arg, const struct err *err, bool retryable)
{
	struct engine_run *r = arg;
	r->served = NULL;
	run_end(r, NULL, err, retryable);
}

static void plan(struct engine_run *r, struct served_spec *s)
{
	const struct task_llm *t = &r->job->task->llm;
	uint64_t prompt = PROMPT_TOKEN_MS * (uint64_t)chat_prompt_bytes(t) / TOKEN_BYTES;
	s->silence_ms = SILENCE_MS + prompt;
	s->total_ms = s->silence_ms + TOKEN_MS * (uint64_t)t->max_tokens;
}

void run_serve(struct engine_run *r)
{
	static const struct served_ops ops = {
	    .loading = loading, .ask = ask, .abandon = abandon, .failed = failed};
	/* A crash is told by its first line, not by minutes of gdb. */
	static const char *const env[] = {"GGML_NO_BACKTRACE=1", NULL};
	const struct engine_job *job = r->job;
	const char *argv[FLAGS_MAX_ARGS];
	char context[16];
	snprintf(context, sizeof context, "%d", chat_context(job->source->cli_defaults));
	flags_argv(&r->flags, &r->files, job->model, context, argv);
	auto_free const char **paths = xcalloc(job->source->n_files + 1, sizeof *paths);
	for (size_t i = 0; i < job->source->n_files; i++)
		paths[i] = job->files[i];
	struct served_spec spec = {
	    .warm = {.engine = "llama-cpp",
		     .model = job->model,
		     .program = r->llama->program,
		     .argv = argv,
		     .env = env,
		     .files = paths,
		     .ready_path = "/health",
		     .memory_bytes = job->memory_bytes,
		     .load_ms = warm_load_ms(paths),
		     .lanes = 1},
	    .job_id = job->job_id,
	};
	plan(r, &spec);
	r->served = served_start(r->llama->env.host, r->llama->env.clock, r->llama->env.log, &spec,
				 &ops, r);
}
