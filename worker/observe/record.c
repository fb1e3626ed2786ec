/* record.c - see record.h.
 * SPDX-License-Identifier: MIT */
#include "worker/observe/record.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "lib/wire/fields.h"

#define MAX_TEXT 500 /* bytes of an error or detail that are kept */

void record_free(struct record *r)
{
	free(r->job_id);
	free(r->kind);
	free(r->model);
	free(r->engine);
	free(r->state);
	free(r->error);
	free(r->detail);
	free(r);
}

void text_replace_short(char **dst, const char *s)
{
	size_t n = s ? strnlen(s, MAX_TEXT + 1) : 0;
	if (n > MAX_TEXT)
		for (n = MAX_TEXT; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--; /* not in the middle of a character */
	free(*dst);
	*dst = s ? xstrndup(s, n) : NULL;
	if (*dst)
		utf8_clean(*dst);
}

void record_set_time(json_t *o, const char *key, int64_t ms)
{
	char text[TIME_TEXT_LEN];
	if (!ms)
		return;
	time_format(ms, text);
	json_object_set_new(o, key, json_string(text));
}

json_t *record_to_json(const struct record *r)
{
	json_t *o = json_object();
	json_set_text(o, "jobId", r->job_id);
	json_set_text(o, "kind", r->kind);
	json_set_text(o, "model", r->model);
	json_set_text(o, "engine", r->engine);
	json_set_text(o, "state", r->state);
	json_set_text(o, "error", r->error);
	record_set_time(o, "startedAt", r->started_ms);
	record_set_time(o, "updatedAt", r->updated_ms);
	return o;
}

static char *get_text(json_t *o, const char *key)
{
	return xstrdup_opt(json_string_value(json_object_get(o, key)));
}

static int64_t get_time(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	int64_t ms = 0;
	return text && time_parse(text, &ms) ? ms : 0;
}

bool record_in_slot(const struct record *r)
{
	const char *state = r->state;
	return strcmp(state, "accepted") == 0 || strcmp(state, "provisioning") == 0 ||
	       strcmp(state, "running") == 0;
}

bool state_ended(const char *state)
{
	return strcmp(state, "delivered") == 0 || strcmp(state, "failed") == 0;
}

/* What ran when the program ended does not run any more; the studio will offer it again. */
struct record *record_from_json(json_t *o)
{
	struct record *r = xcalloc(1, sizeof *r);
	r->job_id = get_text(o, "jobId");
	r->kind = get_text(o, "kind");
	r->model = get_text(o, "model");
	r->engine = get_text(o, "engine");
	r->state = get_text(o, "state");
	r->error = get_text(o, "error");
	r->started_ms = get_time(o, "startedAt");
	r->updated_ms = get_time(o, "updatedAt");
	if (r->job_id && r->state) {
		if (record_in_slot(r))
			str_replace(&r->state, "interrupted");
		return r;
	}
	record_free(r);
	return NULL;
}

void record_update(struct record *r, const struct event *e)
{
	str_replace(&r->state, e->state);
	if (e->kind)
		str_replace(&r->kind, e->kind);
	if (e->model)
		str_replace(&r->model, e->model);
	if (e->engine)
		str_replace(&r->engine, e->engine);
	text_replace_short(&r->error, e->detail);
}

json_t *record_to_json_live(const struct record *r)
{
	if (!r)
		return json_null();
	json_t *o = record_to_json(r);
	if (r->has_progress) {
		json_set_text(o, "stage", stage_name(r->stage));
		if (r->fraction >= 0)
			json_object_set_new(o, "fraction", json_real(r->fraction));
		json_set_text(o, "detail", r->detail);
	}
	return o;
}
