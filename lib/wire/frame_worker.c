/* frame_worker.c - frames from a worker to a studio, both ways of the codec.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/wire/fields.h"
#include "lib/wire/frame.h"
#include "lib/wire/frame_parts.h"
#include "lib/wire/json_write.h"

#define LOG_BATCH_MAX (256u << 20) /* 5,000 lines of 8 KiB, all escaped */

#define LINES_MAX  5000
#define RESUME_MAX 1000

#define JOB_ID	      FIELD_TEXT(worker_frame, job_id, "jobId", true, FIELD_ID_MAX)
#define TEXT(n, need) FIELD_TEXT(worker_frame, text, n, need, FIELD_TEXT_MAX)

static const struct field hello_rows[] = {
    {"authToken", FIELD_SECRET, true, offsetof(struct worker_frame, auth_token), 0, 0,
     FIELD_URL_MAX},
};
static const struct field heartbeat_rows[] = {
    FIELD_TEXT(worker_frame, job_id, "currentJobId", false, FIELD_ID_MAX),
};
static const struct field accept_rows[] = {JOB_ID};
static const struct field reject_rows[] = {
    JOB_ID,
    TEXT("reason", true),
    FIELD_TEXT(worker_frame, code, "code", false, FIELD_ID_MAX),
};
static const struct field complete_rows[] = {
    JOB_ID,
    TEXT("prompt", false),
    FIELD_TREE(worker_frame, result, "result", FIELD_JSON, true),
};
static const struct field fail_rows[] = {
    JOB_ID,
    TEXT("error", true),
    FIELD_FLAG(worker_frame, retryable, "retryable", true),
};
static const struct field progress_rows[] = {
    JOB_ID,
    TEXT("detail", false),
    FIELD_REAL(worker_frame, fraction, "fraction", false, -1, 1),
};
static const struct field line_rows[] = {
    FIELD_TEXT(log_line, ts, "ts", true, FIELD_ID_MAX),
    FIELD_TEXT(log_line, level, "level", true, FIELD_ID_MAX),
    FIELD_TEXT(log_line, category, "category", true, FIELD_ID_MAX),
    FIELD_TEXT(log_line, message, "message", true, FIELD_TEXT_MAX),
    FIELD_TEXT(log_line, job_id, "jobId", false, FIELD_ID_MAX),
};

static int decode_capabilities(json_t *json, struct worker_frame *f, struct err *e)
{
	json_t *v = json_object_get(json, "capabilities");
	if (!v || json_is_null(v))
		return err_set(e, EPROTO, "frame.capabilities is missing");
	return capabilities_decode(v, &f->capabilities, e);
}

static int decode_lines(json_t *json, struct worker_frame *f, struct err *e)
{
	json_t *entries;
	int rc = fields_array(json, "logBatch", "entries", true, LINES_MAX, &entries, e);
	if (rc)
		return rc;
	f->lines = xcalloc(json_array_size(entries), sizeof *f->lines);
	for (size_t i = 0; i < json_array_size(entries); i++) {
		f->n_lines = i + 1;
		rc = fields_read(json_array_get(entries, i), "logBatch.entries", line_rows,
				 ARRAY_LEN(line_rows), &f->lines[i], e);
		if (rc)
			return rc;
	}
	return 0;
}

static int decode_features(json_t *json, struct worker_frame *f, struct err *e)
{
	return features_decode(json, "features", &f->features, e);
}

static int decode_stage(json_t *json, struct worker_frame *f, struct err *e)
{
	json_t *v = json_object_get(json, "stage");
	if (!json_is_string(v) || !stage_parse(json_string_value(v), &f->stage))
		return err_set(e, EPROTO,
			       "progress.stage must be downloading, loading, running "
			       "or uploading");
	return 0;
}

static int decode_resume_job(json_t *json, struct resume_job *job, struct err *e)
{
	static const struct field row = FIELD_TEXT(resume_job, job_id, "jobId", true, FIELD_ID_MAX);
	int rc = fields_read(json, "resume.jobs", &row, 1, job, e);
	if (rc)
		return rc;
	const char *state = json_string_value(json_object_get(json, "state"));
	if (!state || (strcmp(state, "running") != 0 && strcmp(state, "finished") != 0))
		return err_set(e, EPROTO, "resume.jobs.state must be running or finished");
	job->finished = !strcmp(state, "finished");
	return 0;
}

static int decode_resume(json_t *json, struct worker_frame *f, struct err *e)
{
	json_t *jobs;
	int rc = fields_array(json, "resume", "jobs", true, RESUME_MAX, &jobs, e);
	if (rc)
		return rc;
	f->resume = xcalloc(json_array_size(jobs), sizeof *f->resume);
	for (size_t i = 0; i < json_array_size(jobs); i++) {
		f->n_resume = i + 1;
		rc = decode_resume_job(json_array_get(jobs, i), &f->resume[i], e);
		if (rc)
			return rc;
	}
	return 0;
}

#define ROWS(r) (r), ARRAY_LEN(r)
static const struct codec {
	const char *name;
	const struct field *rows;
	size_t n_rows;
	int (*more)(json_t *json, struct worker_frame *f, struct err *e);
} codecs[] = {
    [WF_HELLO] = {"hello", ROWS(hello_rows), decode_capabilities},
    [WF_HEARTBEAT] = {"heartbeat", ROWS(heartbeat_rows), decode_capabilities},
    [WF_ACCEPT] = {"accept", ROWS(accept_rows), NULL},
    [WF_REJECT] = {"reject", ROWS(reject_rows), NULL},
    [WF_COMPLETE_JSON] = {"completeJson", ROWS(complete_rows), NULL},
    [WF_FAIL] = {"fail", ROWS(fail_rows), NULL},
    [WF_LOG_BATCH] = {"logBatch", NULL, 0, decode_lines},
    [WF_READY_FOR_MORE] = {"readyForMore", NULL, 0, NULL},
    [WF_FEATURES] = {"features", NULL, 0, decode_features},
    [WF_PROGRESS] = {"progress", ROWS(progress_rows), decode_stage},
    [WF_RESUME] = {"resume", NULL, 0, decode_resume},
};

const char *worker_frame_name(enum worker_frame_type t)
{
	return (size_t)t < ARRAY_LEN(codecs) ? codecs[t].name : "unknown";
}

static const struct codec *find_codec(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		if (!strcmp(type, codecs[i].name))
			return &codecs[i];
	return NULL;
}

static int decode(json_t *json, const struct codec *codec, struct worker_frame *f, struct err *e)
{
	f->type = (enum worker_frame_type)(codec - codecs);
	f->fraction = -1;
	int rc = fields_read(json, codec->name, codec->rows, codec->n_rows, f, e);
	return rc || !codec->more ? rc : codec->more(json, f, e);
}

int worker_frame_decode(const char *text, size_t len, struct worker_frame **out, struct err *e)
{
	const char *type;
	json_t *json = frame_parse(text, len, &type, e);
	if (!json)
		return -EPROTO;
	const struct codec *codec = find_codec(type);
	struct worker_frame *f = xcalloc(1, sizeof *f);
	int rc = codec ? decode(json, codec, f, e)
		       : err_set(e, EPROTO, "unknown frame type %.64s", type);
	json_decref(json);
	if (rc) {
		worker_frame_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void worker_frame_free(struct worker_frame *f)
{
	if (!f)
		return;
	secret_clear(&f->auth_token);
	capabilities_free(f->capabilities);
	free(f->job_id);
	free(f->text);
	free(f->code);
	json_decref(f->result);
	for (size_t i = 0; i < f->n_lines; i++) {
		free(f->lines[i].ts);
		free(f->lines[i].level);
		free(f->lines[i].category);
		free(f->lines[i].message);
		free(f->lines[i].job_id);
	}
	free(f->lines);
	for (size_t i = 0; i < f->n_resume; i++)
		free(f->resume[i].job_id);
	free(f->resume);
	free(f);
}

char *frame_hello(const struct secret *token, const struct capabilities *c)
{
	json_t *json = frame_begin("hello");
	json_set_text(json, "authToken", secret_reveal(token));
	json_object_set_new(json, "capabilities", capabilities_encode(c));
	return json_finish(json);
}

char *frame_heartbeat(const struct capabilities *c, const char *job_id)
{
	json_t *json = frame_begin("heartbeat");
	json_object_set_new(json, "capabilities", capabilities_encode(c));
	json_set_text(json, "currentJobId", job_id);
	return json_finish(json);
}

static json_t *begin_job(const char *type, const char *job_id)
{
	json_t *json = frame_begin(type);
	json_set_text(json, "jobId", job_id);
	return json;
}

char *frame_accept(const char *job_id)
{
	return json_finish(begin_job("accept", job_id));
}

char *frame_reject(const char *job_id, const char *reason, const char *code)
{
	json_t *json = begin_job("reject", job_id);
	json_set_text(json, "reason", reason);
	json_set_text(json, "code", code);
	return json_finish(json);
}

char *frame_complete_json(const char *job_id, const json_t *result, const char *prompt)
{
	json_t *json = begin_job("completeJson", job_id);
	/* Borrowed for the dump only; jansson has no const form of "set". */
	json_object_set(json, "result", (json_t *)(uintptr_t)result);
	json_set_text(json, "prompt", prompt);
	return json_finish(json);
}

char *frame_fail(const char *job_id, const char *error, bool retryable)
{
	json_t *json = begin_job("fail", job_id);
	json_set_text(json, "error", error);
	json_object_set_new(json, "retryable", json_boolean(retryable));
	return json_finish(json);
}

static bool add_line(struct buf *b, const struct log_line *l)
{
	return buf_add(b, "{", 1) && json_add_field(b, "ts", l->ts) &&
	       json_add_field(b, "level", l->level) && json_add_field(b, "category", l->category) &&
	       json_add_field(b, "message", l->message) && json_add_field(b, "jobId", l->job_id) &&
	       buf_add(b, "}", 1);
}

/* Written without values in between: log lines are most of what a worker says. */
char *frame_log_batch(const struct log_line *lines, size_t n)
{
	struct buf b;
	buf_init(&b, LOG_BATCH_MAX);
	bool ok = buf_printf(&b, "{\"type\":\"logBatch\",\"entries\":[");
	for (size_t i = 0; ok && i < n; i++)
		ok = (i == 0 || buf_add(&b, ",", 1)) && add_line(&b, &lines[i]);
	if (!ok || !buf_add(&b, "]}", 2)) {
		buf_fini(&b);
		return xstrdup("{\"type\":\"logBatch\",\"entries\":[]}");
	}
	return buf_steal(&b);
}

char *frame_features(unsigned features)
{
	json_t *json = frame_begin("features");
	json_object_set_new(json, "features", features_encode(features));
	return json_finish(json);
}

char *frame_progress(const char *job_id, enum stage s, double fraction, const char *detail)
{
	json_t *json = begin_job("progress", job_id);
	json_set_text(json, "stage", stage_name(s));
	if (fraction >= 0)
		json_object_set_new(json, "fraction", json_real(fraction < 1 ? fraction : 1));
	json_set_text(json, "detail", detail);
	return json_finish(json);
}

char *frame_resume(const struct resume_job *jobs, size_t n)
{
	json_t *json = frame_begin("resume"), *array = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *job = json_object();
		json_set_text(job, "jobId", jobs[i].job_id);
		json_set_text(job, "state", jobs[i].finished ? "finished" : "running");
		json_array_append_new(array, job);
	}
	json_object_set_new(json, "jobs", array);
	return json_finish(json);
}
