/* frame_studio.c - frames from a studio to a worker, both ways of the codec.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/fields.h"
#include "lib/wire/frame.h"
#include "lib/wire/frame_parts.h"

#define RESUMED_MAX 1000

static const struct field welcome_rows[] = {
    FIELD_TEXT(studio_frame, worker_id, "workerId", true, FIELD_ID_MAX),
    FIELD_TEXT(studio_frame, server_time, "serverTime", true, FIELD_ID_MAX),
};
static const struct field job_rows[] = {
    FIELD_TEXT(studio_frame, job_id, "jobId", true, FIELD_ID_MAX),
};
static const struct field error_rows[] = {
    FIELD_TEXT(studio_frame, error_text, "code", true, FIELD_ID_MAX),
    FIELD_TEXT(studio_frame, message, "message", true, FIELD_TEXT_MAX),
};

static const char *const error_names[] = {
    [ERROR_UNKNOWN] = "unknown",
    [ERROR_AUTH_FAILED] = "auth_failed",
    [ERROR_PROTOCOL_VIOLATION] = "protocol_violation",
    [ERROR_DUPLICATE_WORKER] = "duplicate_worker",
    [ERROR_WORKER_DELETED] = "worker_deleted",
    [ERROR_INTERNAL] = "internal_error",
};

static int decode_features(json_t *json, struct studio_frame *f, struct err *e)
{
	return features_decode(json, "welcome", &f->features, e);
}

static int decode_offer(json_t *json, struct studio_frame *f, struct err *e)
{
	json_t *claim = json_object_get(json, "claim");
	if (!claim || json_is_null(claim))
		return err_set(e, EPROTO, "offer.claim is missing");
	return claim_decode(claim, &f->claim, e);
}

static int decode_error(json_t *json, struct studio_frame *f, struct err *e)
{
	(void)json, (void)e;
	for (size_t i = ERROR_AUTH_FAILED; i < ARRAY_LEN(error_names); i++)
		if (!strcmp(f->error_text, error_names[i]))
			f->error = (enum error_code)i;
	return 0;
}

static int decode_resumed(json_t *json, struct studio_frame *f, struct err *e)
{
	int rc = fields_strings(json, "resumed", "keep", RESUMED_MAX, FIELD_ID_MAX, &f->keep,
				&f->n_keep, e);
	if (rc)
		return rc;
	return fields_strings(json, "resumed", "drop", RESUMED_MAX, FIELD_ID_MAX, &f->drop,
			      &f->n_drop, e);
}

#define ROWS(r) (r), ARRAY_LEN(r)
static const struct codec {
	const char *name;
	const struct field *rows;
	size_t n_rows;
	int (*more)(json_t *json, struct studio_frame *f, struct err *e);
} codecs[] = {
    [SF_WELCOME] = {"welcome", ROWS(welcome_rows), decode_features},
    [SF_OFFER] = {"offer", NULL, 0, decode_offer},
    [SF_HEARTBEAT_ACK] = {"heartbeatAck", NULL, 0, NULL},
    [SF_COMPLETE_ACK] = {"completeAck", ROWS(job_rows), NULL},
    [SF_FAIL_ACK] = {"failAck", ROWS(job_rows), NULL},
    [SF_ERROR] = {"error", ROWS(error_rows), decode_error},
    [SF_CANCEL] = {"cancel", ROWS(job_rows), NULL},
    [SF_RESUMED] = {"resumed", NULL, 0, decode_resumed},
};

const char *studio_frame_name(enum studio_frame_type t)
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

static int decode(json_t *json, const struct codec *codec, struct studio_frame *f, struct err *e)
{
	f->type = (enum studio_frame_type)(codec - codecs);
	int rc = fields_read(json, codec->name, codec->rows, codec->n_rows, f, e);
	return rc || !codec->more ? rc : codec->more(json, f, e);
}

int studio_frame_decode(const char *text, size_t len, struct studio_frame **out, struct err *e)
{
	const char *type;
	json_t *json = frame_parse(text, len, &type, e);
	if (!json)
		return -EPROTO;
	const struct codec *codec = find_codec(type);
	struct studio_frame *f = xcalloc(1, sizeof *f);
	int rc = codec ? decode(json, codec, f, e)
		       : err_set(e, EPROTO, "unknown frame type %.64s", type);
	json_decref(json);
	if (rc) {
		studio_frame_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void studio_frame_free(struct studio_frame *f)
{
	if (!f)
		return;
	free(f->worker_id);
	free(f->server_time);
	claim_free(f->claim);
	free(f->job_id);
	free(f->error_text);
	free(f->message);
	fields_strings_free(f->keep, f->n_keep);
	fields_strings_free(f->drop, f->n_drop);
	free(f);
}

char *frame_welcome(const char *worker_id, const char *server_time, unsigned features)
{
	json_t *json = frame_begin("welcome");
	json_set_text(json, "workerId", worker_id);
	json_set_text(json, "serverTime", server_time);
	if (features) /* a studio without extensions leaves no trace of them */
		json_object_set_new(json, "features", features_encode(features));
	return json_finish(json);
}

char *frame_offer(const char *job_id, const char *game_id, const char *asset_name,
		  const char *model, double vram_gb_estimate, const json_t *task,
		  const json_t *source)
{
	json_t *json = frame_begin("offer"), *claim = json_object();
	json_set_text(claim, "jobId", job_id);
	json_set_text(claim, "gameId", game_id);
	json_set_text(claim, "assetName", asset_name);
	json_set_text(claim, "model", model);
	json_object_set_new(claim, "vramGbEstimate", json_real(vram_gb_estimate));
	/* Borrowed for the dump only; jansson has no const form of "set". */
	json_object_set(claim, "task", (json_t *)(uintptr_t)task);
	json_object_set(claim, "modelSource", (json_t *)(uintptr_t)source);
	json_object_set_new(json, "claim", claim);
	return json_finish(json);
}

char *frame_heartbeat_ack(void)
{
	return json_finish(frame_begin("heartbeatAck"));
}

static char *about_job(const char *type, const char *job_id)
{
	json_t *json = frame_begin(type);
	json_set_text(json, "jobId", job_id);
	return json_finish(json);
}

char *frame_complete_ack(const char *job_id)
{
	return about_job("completeAck", job_id);
}

char *frame_fail_ack(const char *job_id)
{
	return about_job("failAck", job_id);
}

char *frame_cancel(const char *job_id)
{
	return about_job("cancel", job_id);
}

char *frame_error(enum error_code code, const char *message)
{
	json_t *json = frame_begin("error");
	json_set_text(json, "code", error_names[code == ERROR_UNKNOWN ? ERROR_INTERNAL : code]);
	json_set_text(json, "message", message);
	return json_finish(json);
}

static json_t *encode_ids(char *const *ids, size_t n)
{
	json_t *array = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_text(ids[i]));
	return array;
}

char *frame_resumed(char *const *keep, size_t n_keep, char *const *drop, size_t n_drop)
{
	json_t *json = frame_begin("resumed");
	json_object_set_new(json, "keep", encode_ids(keep, n_keep));
	json_object_set_new(json, "drop", encode_ids(drop, n_drop));
	return json_finish(json);
}
