/* api.h - the studio's HTTP side: the workers' end points and the operator's, one route table
 * (routes.c). The operator's need the admin token; docs/openapi.json describes every route and is
 * tested against the answers. SPDX-License-Identifier: MIT */
#ifndef API_API_H
#define API_API_H

#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "lib/base/secret.h"
#include "lib/loop/loop.h"
#include "studio/blob/blob.h"
#include "studio/hub/admission.h"
#include "studio/hub/hub.h"
#include "studio/hub/intake.h"
#include "studio/queue/queue.h"
#include "studio/storage/storage.h"

#define API_PREFIX "/graphics/api"

/* All of it belongs to the caller and outlives the api. */
struct api_deps {
	struct loop *loop;
	struct log *log;
	struct storage *storage;
	struct blob_store *blobs;
	struct queue *queue;
	struct hub *hub;
	struct admission *admission;
	struct intake_deps intake;
	const struct secret *admin_token;
	const char *listen;	  /* ADDR:PORT */
	bool behind_proxy;	  /* believe the last X-Forwarded-For */
	unsigned max_connections; /* 0: what RLIMIT_NOFILE allows */
};

struct api;
struct api *api_new(const struct api_deps *d, struct err *e) MUST_CHECK;
/* The end, in one turn of the loop: api_stop(), which lets the hub's uploads go, then hub_free(),
 * which says good-bye to the workers, then api_free(), which closes every connection, then the
 * storage. NULL allowed. */
void api_stop(struct api *a);
void api_free(struct api *a);
int api_port(const struct api *a);

#endif
