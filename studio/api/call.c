/* call.c - one admin or worker request while it waits for the storage.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/wire/frame.h"
#include "studio/api/call.h"

void call_free(struct call *c)
{
	list_remove(&c->api->calls, &c->node);
	if (c->data && c->data_free)
		c->data_free(c->data);
	free(c);
}

void call_drop(struct call *c)
{
	if (--c->refs == 0)
		call_free(c);
}

static void request_gone(void *data)
{
	struct call *c = data;

	c->request = NULL;
	call_drop(c);
}

struct call *call_new(struct request *r, struct api *api)
{
	struct call *c = xcalloc(1, sizeof *c);

	c->api = api;
	c->deps = &api->deps;
	list_push_back(&api->calls, &c->node);
	c->request = r;
	c->refs = 1;
	request_set_data(r, c, request_gone);
	return c;
}

struct call *call_hold(struct call *c)
{
	c->refs++;
	return c;
}

struct request *call_resume(struct call *c)
{
	struct request *r = c->request;

	call_drop(c);
	return r;
}

bool reply_fine(struct request *r, const struct err *err, struct log *log, const char *missing_code,
		const char *missing_text)
{
	if (!err->code)
		return true;
	if (err->code == ENOENT && missing_code) {
		respond_error(r, 404, missing_code, "%s", missing_text);
		return false;
	}
	log_error(log, "api", NULL, "storage failed: %s", err->text);
	if (err->code == ENOSPC || err->code == EDQUOT) {
		respond_error(r, 507, "storage_failed", "the disk of the studio is full");
		return false;
	}
	respond_error(r, 500, "internal_error",
		      "the studio could not store or read this; see its log");
	return false;
}

json_t *request_json(struct request *r)
{
	struct err e = ERR_INIT;
	size_t len;
	const char *body = request_body(r, &len);
	json_t *json = json_parse(body, len, &e);

	if (!json) {
		respond_error(r, 400, "bad_request", "%s",
			      len ? e.text : "the body must be a JSON object");
		return NULL;
	}
	if (!json_is_object(json)) {
		json_decref(json);
		respond_error(r, 400, "bad_request", "the body must be a JSON object");
		return NULL;
	}
	return json;
}

bool request_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const char *text = request_query(r, name);
	char *end;
	long long v;

	if (!text)
		return true;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < min || v > max) {
		respond_error(r, 400, "bad_request", "%s: must be a whole number from %lld to %lld",
			      name, (long long)min, (long long)max);
		return false;
	}
	*out = v;
	return true;
}

void set_time(json_t *o, const char *key, int64_t wall_ms)
{
	char text[TIME_TEXT_LEN];

	if (!wall_ms)
		return;
	time_format(wall_ms, text);
	json_object_set_new(o, key, json_string(text));
}
