/* result.c - see result.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/result.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/wire/frame.h"
#include "lib/wire/json_write.h"

#define MANIFEST_MAX (32u << 20) /* a prompt is 1 MiB at most */

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

static bool encode(struct buf *b, const struct result *r)
{
	bool ok = buf_add(b, "{", 1) && json_add_field(b, "jobId", r->job_id) &&
		  json_add_field(b, "digest", r->digest) && json_add_field(b, "kind", r->kind) &&
		  json_add_field(b, "model", r->model) && json_add_field(b, "engine", r->engine) &&
		  json_add_field(b, "prompt", r->prompt);
	if (ok && r->sha256)
		ok = json_add_field(b, "ext", r->ext) && json_add_field(b, "sha256", r->sha256) &&
		     buf_printf(b, ",\"size\":%" PRIu64, r->size);
	return ok && buf_printf(b, ",\"created\":%" PRId64 "}", r->created_ms);
}

char *result_encode(const struct result *r)
{
	struct buf b;
	buf_init(&b, MANIFEST_MAX);
	char *text = encode(&b, r) ? buf_steal(&b) : xstrdup("{}");
	buf_fini(&b);
	return text;
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
