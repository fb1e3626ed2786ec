/* admission_routes.c - HTTP for letting workers in: the worker's two exchanges, the operator's list
 * and decisions. SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/api/call.h"
#include "studio/api/routes.h"

#define REASON_MAX 1000 /* bytes a worker's owner is told */

static void admission_said(void *arg, int status, const char *json)
{
	struct request *r = call_resume(arg);

	if (r)
		respond_text(r, status, "application/json", json, strlen(json));
}

/* The address the rate limit counts: behind a proxy the one that the proxy saw, which it appends
 * last. */
static char *peer_of(struct request *r, const struct api_deps *d)
{
	const char *list = d->behind_proxy ? request_header(r, "x-forwarded-for") : NULL;
	const char *last = list ? strrchr(list, ',') : NULL;

	if (!list)
		return xstrdup(request_peer(r));
	last = last ? last + 1 : list;
	last += strspn(last, " \t");
	return xstrndup(last, strnlen(last, 64));
}

void register_request_post(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	auto_free char *peer = peer_of(r, c->deps);
	size_t len;
	const char *body = request_body(r, &len);

	admission_request(c->deps->admission, peer, body, len, admission_said, call_hold(c));
}

void register_request_get(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);

	admission_poll(c->deps->admission, request_param(r, "requestId"), request_bearer(r),
		       admission_said, call_hold(c));
}

void pending_approve(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);

	admission_decide(c->deps->admission, request_param(r, "requestId"), NULL, admission_said,
			 call_hold(c));
}

void pending_reject(struct request *r, void *arg)
{
	json_t *body = request_json(r);
	const char *reason;
	struct call *c;

	if (!body)
		return;
	reason = json_string_value(json_object_get(body, "reason"));
	if (!reason || !*reason || strlen(reason) > REASON_MAX) {
		respond_error(
		    r, 400, "bad_request",
		    "reason: is required, a text of at most %d bytes; the worker's owner sees it",
		    REASON_MAX);
	} else {
		c = call_new(r, arg);
		admission_decide(c->deps->admission, request_param(r, "requestId"), reason,
				 admission_said, call_hold(c));
	}
	json_decref(body);
}

static json_t *pending_json(const struct request_record *q)
{
	json_t *o = json_object();

	json_set_text(o, "requestId", q->id);
	json_set_text(o, "status", q->status);
	json_set_text(o, "installId", q->install_id);
	json_set_text(o, "userAgent", q->user_agent);
	json_set_text(o, "peer", q->peer);
	set_time(o, "createdAt", q->created_ms);
	if (q->capabilities)
		json_object_set_new(o, "capabilities", json_deep_copy(q->capabilities));
	return o;
}

static void pending_listed(void *arg, const struct storage_reply *reply)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);
	json_t *list;

	if (!r || !reply_fine(r, reply->err, log, NULL, NULL))
		return;
	list = json_array();
	for (size_t i = 0; i < reply->n; i++)
		json_array_append_new(list, pending_json(&reply->requests[i]));
	respond_json(r, 200, json_pack("{s:o}", "requests", list));
}

void pending_list(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->request_list(s, "pending", pending_listed, call_hold(c));
}
