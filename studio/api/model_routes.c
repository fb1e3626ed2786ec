/* model_routes.c - the operator's model registry.
 * SPDX-License-Identifier: MIT */
#include "studio/api/call.h"
#include "studio/api/routes.h"
#include "studio/registry/models.h"

#define NO_MODEL "no model has this id; GET " API_PREFIX "/models lists them"

static void models_listed(void *arg, const struct storage_reply *reply)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);
	json_t *list;

	if (!r || !reply_fine(r, reply->err, log, NULL, NULL))
		return;
	list = json_array();
	for (size_t i = 0; i < reply->n; i++)
		json_array_append_new(list, model_encode(&reply->models[i]));
	respond_json(r, 200, json_pack("{s:o}", "models", list));
}

void model_list(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->model_list(s, models_listed, call_hold(c));
}

static void model_got(void *arg, const struct storage_reply *reply)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);

	if (r && reply_fine(r, reply->err, log, "not_found", NO_MODEL))
		respond_json(r, 200, model_encode(&reply->models[0]));
}

void model_get(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->model_get(s, request_param(r, "modelId"), model_got, call_hold(c));
}

static void model_stored(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct storage *s = c->deps->storage;

	if (reply->err->code || !c->request) {
		struct log *log = c->deps->log;
		struct request *r = call_resume(c);
		if (r)
			reply_fine(r, reply->err, log, NULL, NULL);
		return;
	}
	s->ops->model_get(s, request_param(c->request, "modelId"), model_got, c);
}

void model_put(struct request *r, void *arg)
{
	json_t *body = request_json(r);
	struct model_record m;
	struct err e = ERR_INIT;

	if (!body)
		return;
	if (model_decode(request_param(r, "modelId"), body, &m, &e) < 0) {
		respond_error(r, 400, "bad_request", "%s", e.text);
	} else {
		struct call *c = call_new(r, arg);
		struct storage *s = c->deps->storage;
		s->ops->model_put(s, &m, model_stored, call_hold(c));
		model_record_fini(&m);
	}
	json_decref(body);
}

static void model_deleted(void *arg, const struct storage_reply *reply)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);

	if (r && reply_fine(r, reply->err, log, "not_found", NO_MODEL))
		respond_json(
		    r, 200,
		    json_pack("{s:s, s:b}", "id", request_param(r, "modelId"), "deleted", 1));
}

void model_delete(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->model_delete(s, request_param(r, "modelId"), model_deleted, call_hold(c));
}
