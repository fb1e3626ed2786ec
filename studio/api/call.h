/* call.h - one admin or worker request while it waits for the storage.
 * A request may end (its client left) while an answer is being fetched; the call outlives it, so
 * that a late reply finds out. SPDX-License-Identifier: MIT */
#ifndef API_CALL_H
#define API_CALL_H

#include "lib/base/list.h"
#include "lib/net/server.h"
#include "lib/wire/fields.h"
#include "studio/api/api.h"
#include "studio/storage/storage.h"

struct api {
	struct api_deps deps;
	struct route *routes;
	struct server *server;
	struct list calls, uploads;
};

struct call {
	struct list_node node; /* api.calls */
	struct api *api;
	struct api_deps *deps;	 /* of the api */
	struct request *request; /* NULL: answered, or the client left */
	unsigned refs;
	void *data; /* the route's own, freed with data_free */
	void (*data_free)(void *data);
};

/* The request holds the call; it dies with the request unless call_hold() keeps it for a reply
 * under way. */
struct call *call_new(struct request *r, struct api *api);
struct call *call_hold(struct call *c); /* returns c, to be passed as a callback's arg */
/* For the reply: lets go, and returns the request, NULL when nobody waits for the answer any more
 * (c is then gone, with its data). */
struct request *call_resume(struct call *c);
void call_drop(struct call *c);
void call_free(struct call *c); /* whoever holds it: replies that are due are never given */

/* Answers an error of the storage or the queue: ENOENT as 404 `code`, a full disk as 507, all else
 * as 500; false when it did. */
bool reply_fine(struct request *r, const struct err *err, struct log *log, const char *missing_code,
		const char *missing_text);
/* The JSON object of a body; NULL when it answered 400. */
json_t *request_json(struct request *r);
/* A whole number of the query in [min, max]; `fallback` when it is not there. False when it
 * answered 400. */
bool request_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t *out);

/* Adds a time unless it is 0. */
void set_time(json_t *o, const char *key, int64_t wall_ms);

/* upload_route.c: every upload lets its intake go; nothing of it may come any more. */
void uploads_end(struct api *a);

#endif
