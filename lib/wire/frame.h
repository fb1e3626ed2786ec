/* frame.h - the messages of studio-worker-v1: bytes to structs and back (docs/protocol.md, sections
 * 4, 5, 8). Pure: no socket, no clock, no log. Every text is hostile until decoded.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/secret.h"
#include "lib/wire/capabilities.h"
#include "lib/wire/source.h"
#include "lib/wire/task.h"

#define FRAME_MAX_BYTES	 (4u << 20) /* a text message, fragments together */
#define FRAME_MAX_DEPTH	 64	    /* nesting of arrays and objects */
#define FRAME_MAX_VALUES 200000	    /* in one text, about: an empty array or object counts as two */

enum close_code {
	CLOSE_NORMAL = 1000,
	CLOSE_AUTH_FAILED = 4001,
	CLOSE_PROTOCOL_VIOLATION = 4002,
	CLOSE_DUPLICATE_WORKER = 4003,
	CLOSE_WORKER_DELETED = 4004,
};

enum feature { FEATURE_PROGRESS = 1, FEATURE_CANCEL = 2, FEATURE_RESUME = 4 };
#define FEATURES_ALL (FEATURE_PROGRESS | FEATURE_CANCEL | FEATURE_RESUME)

enum stage { STAGE_DOWNLOADING, STAGE_LOADING, STAGE_RUNNING, STAGE_UPLOADING };
const char *stage_name(enum stage s);
json_t *features_encode(unsigned bits); /* an array of their names */

struct claim {
	char *job_id, *game_id, *asset_name, *model;
	double vram_gb_estimate;
	struct task *task;
	struct source *source;
};
void claim_free(struct claim *c);
/* As it stands in an offer frame. */
int claim_decode(json_t *json, struct claim **out, struct err *e) MUST_CHECK;

/* ---- worker to studio ---- */
enum worker_frame_type {
	WF_HELLO,
	WF_HEARTBEAT,
	WF_ACCEPT,
	WF_REJECT,
	WF_COMPLETE_JSON,
	WF_FAIL,
	WF_LOG_BATCH,
	WF_READY_FOR_MORE,
	WF_FEATURES,
	WF_PROGRESS,
	WF_RESUME,
};
struct log_line {
	char *ts, *level, *category, *message, *job_id; /* job_id may be NULL */
};
struct resume_job {
	char *job_id;
	bool finished; /* else running */
};
struct worker_frame {
	enum worker_frame_type type;
	struct secret auth_token;	   /* hello */
	struct capabilities *capabilities; /* hello, heartbeat */
	char *job_id; /* accept, reject, completeJson, fail, progress; heartbeat: current job or
			 NULL */
	char *text;   /* reject: reason; fail: error; completeJson: prompt or NULL; progress: detail
			 or NULL */
	char *code;   /* reject: "busy", "paused" or NULL */
	bool retryable;		/* fail */
	json_t *result;		/* completeJson */
	struct log_line *lines; /* logBatch, at most 5,000 */
	size_t n_lines;
	unsigned features;	   /* features: FEATURE_ bits; unknown names are skipped */
	enum stage stage;	   /* progress */
	double fraction;	   /* progress; negative: not known */
	struct resume_job *resume; /* resume, at most 1,000 */
	size_t n_resume;
};
/* -EPROTO (with what was wrong) for text that is no known frame. The frame is the caller's. */
int worker_frame_decode(const char *text, size_t len, struct worker_frame **out,
			struct err *e) MUST_CHECK;
void worker_frame_free(struct worker_frame *f);
const char *worker_frame_name(enum worker_frame_type t); /* "hello", "completeJson", … */

/* Encoders return JSON text the caller frees with free(). */
char *frame_hello(const struct secret *token, const struct capabilities *c);
char *frame_heartbeat(const struct capabilities *c, const char *job_id);
char *frame_accept(const char *job_id);
char *frame_reject(const char *job_id, const char *reason, const char *code);
char *frame_complete_json(const char *job_id, const json_t *result, const char *prompt);
char *frame_fail(const char *job_id, const char *error, bool retryable);
char *frame_log_batch(const struct log_line *lines, size_t n);
char *frame_features(unsigned features);
char *frame_progress(const char *job_id, enum stage s, double fraction, const char *detail);
char *frame_resume(const struct resume_job *jobs, size_t n);

/* ---- studio to worker ---- */
enum studio_frame_type {
	SF_WELCOME,
	SF_OFFER,
	SF_HEARTBEAT_ACK,
	SF_COMPLETE_ACK,
	SF_FAIL_ACK,
	SF_ERROR,
	SF_CANCEL,
	SF_RESUMED,
};
enum error_code {
	ERROR_UNKNOWN, /* a code this build does not know: treated as a disconnect */
	ERROR_AUTH_FAILED,
	ERROR_PROTOCOL_VIOLATION,
	ERROR_DUPLICATE_WORKER,
	ERROR_WORKER_DELETED,
	ERROR_INTERNAL,
};
struct studio_frame {
	enum studio_frame_type type;
	char *worker_id, *server_time; /* welcome */
	unsigned features;	       /* welcome */
	struct claim *claim;	       /* offer */
	char *job_id;		       /* completeAck, failAck, cancel */
	enum error_code error;
	char *error_text, *message; /* error: code as received, message */
	char **keep, **drop;	    /* resumed */
	size_t n_keep, n_drop;
};
int studio_frame_decode(const char *text, size_t len, struct studio_frame **out,
			struct err *e) MUST_CHECK;
void studio_frame_free(struct studio_frame *f);
const char *studio_frame_name(enum studio_frame_type t);

char *frame_welcome(const char *worker_id, const char *server_time, unsigned features);
/* task and source as they were stored (raw JSON). */
char *frame_offer(const char *job_id, const char *game_id, const char *asset_name,
		  const char *model, double vram_gb_estimate, const json_t *task,
		  const json_t *source);
char *frame_heartbeat_ack(void);
char *frame_complete_ack(const char *job_id);
char *frame_fail_ack(const char *job_id);
char *frame_error(enum error_code code, const char *message);
char *frame_cancel(const char *job_id);
char *frame_resumed(char *const *keep, size_t n_keep, char *const *drop, size_t n_drop);

/* Parses JSON from a peer: UTF-8, no duplicate keys, at most FRAME_MAX_DEPTH deep, FRAME_MAX_VALUES
 * in number, numbers finite; integers beyond 64 bits become reals. New reference, NULL with e
 * filled. Shared by every place that reads a peer's JSON. */
json_t *json_parse(const char *text, size_t len, struct err *e) MUST_CHECK;
/* The same with another bound on the number of values, for what never was one frame. */
json_t *json_parse_many(const char *text, size_t len, size_t max_values, struct err *e) MUST_CHECK;

#endif
