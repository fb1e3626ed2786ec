/* result.c - see result.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/result.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

struct result *result_new(void)
{
	return xcalloc(1, sizeof(struct result));
}

void result_free(struct result *r)
{
	if (!r)
		return;
	free(r->job_id);
	free(r->digest);
	free(r->kind);
	free(r->model);
	free(r->engine);
	free(r->prompt);
	free(r->dir);
	free(r->file);
	free(r->ext);
	free(r->sha256);
	free(r->frame);
	free(r);
}

bool result_ext_valid(const char *ext)
{
	size_t n = ext ? strlen(ext) : 0;
	if (n < 1 || n > 8)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)ext[i]))
			return false;
	return true;
}

char *result_encode(const struct result *r)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "jobId", r->job_id, "digest",
			      r->digest, "kind", r->kind, "model", r->model, "engine", r->engine,
			      "prompt", r->prompt, "created", (json_int_t)r->created_ms);
	if (o && r->sha256) {
		json_object_set_new(o, "ext", json_string(r->ext));
		json_object_set_new(o, "size", json_integer((json_int_t)r->size));
		json_object_set_new(o, "sha256", json_string(r->sha256));
	}
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text ? text : xstrdup("{}");
}

static char *text_of(json_t *o, const char *key)
{
	return xstrdup_opt(json_string_value(json_object_get(o, key)));
}

static bool complete(const struct result *r)
{
	if (!r->job_id || !r->digest || !r->kind || !r->model || !r->engine || !r->prompt)
		return false;
	return !r->sha256 || result_ext_valid(r->ext);
}

int result_decode(const char *text, size_t len, struct result **out, struct err *e)
{
	json_t *o = json_parse(text, len, e);
	if (!o)
		return err_wrap(e, "manifest");
	struct result *r = result_new();
	r->job_id = text_of(o, "jobId");
	r->digest = text_of(o, "digest");
	r->kind = text_of(o, "kind");
	r->model = text_of(o, "model");
	r->engine = text_of(o, "engine");
	r->prompt = text_of(o, "prompt");
	r->ext = text_of(o, "ext");
	r->sha256 = text_of(o, "sha256");
	r->size = (uint64_t)json_integer_value(json_object_get(o, "size"));
	r->created_ms = json_integer_value(json_object_get(o, "created"));
	json_decref(o);
	if (!complete(r)) {
		result_free(r);
		return err_set(e, EPROTO, "the manifest lacks a field");
	}
	*out = r;
	return 0;
}
