/* routes.c - every HTTP address of a studio, one row each; docs/openapi.json describes the same
 * rows. SPDX-License-Identifier: MIT */
#include "lib/base/mem.h"
#include "studio/api/api.h"
#include "studio/api/routes.h"

#define P	   API_PREFIX
#define JSON_MAX   (1u << 20)	      /* bytes of a JSON body */
#define UPLOAD_MAX ((size_t)64 << 30) /* the intake's own limit is the one that counts */
#define OPEN	   ACCESS_OPEN
#define ADMIN	   ACCESS_ADMIN

/* clang-format off */
const struct api_route route_table[] = {
	{"GET",    "/healthz",                                    OPEN,  0,        health_get, NULL},
	{"GET",    P "/healthz",                                  OPEN,  0,        health_get, NULL},

	/* workers: what they show is checked by the handler (docs/protocol.md, section 1) */
	{"POST",   P "/workers/register-request",                 OPEN,  JSON_MAX, register_request_post, NULL},
	{"GET",    P "/workers/register-requests/{requestId}",    OPEN,  0,        register_request_get, NULL},
	{"POST",   P "/workers/{workerId}/jobs/{jobId}/complete", OPEN,  UPLOAD_MAX, upload_end, &upload_events},

	/* the operator */
	{"GET",    P "/workers",                                  ADMIN, 0,        worker_list, NULL},
	{"GET",    P "/workers/pending",                          ADMIN, 0,        pending_list, NULL},
	{"POST",   P "/workers/pending/{requestId}/approve",      ADMIN, JSON_MAX, pending_approve, NULL},
	{"POST",   P "/workers/pending/{requestId}/reject",       ADMIN, JSON_MAX, pending_reject, NULL},
	{"DELETE", P "/workers/{workerId}",                       ADMIN, 0,        worker_delete, NULL},
	{"GET",    P "/workers/{workerId}/logs",                  ADMIN, 0,        worker_logs, NULL},

	{"POST",   P "/jobs",                                     ADMIN, JSON_MAX, job_submit, NULL},
	{"GET",    P "/jobs",                                     ADMIN, 0,        job_list, NULL},
	{"GET",    P "/jobs/{jobId}",                             ADMIN, 0,        job_get, NULL},
	{"DELETE", P "/jobs/{jobId}",                             ADMIN, 0,        job_delete, NULL},
	{"GET",    P "/jobs/{jobId}/result",                      ADMIN, 0,        job_result, NULL},
	{"POST",   P "/jobs/{jobId}/retry",                       ADMIN, JSON_MAX, job_retry, NULL},

	{"GET",    P "/models",                                   ADMIN, 0,        model_list, NULL},
	{"GET",    P "/models/{modelId}",                         ADMIN, 0,        model_get, NULL},
	{"PUT",    P "/models/{modelId}",                         ADMIN, JSON_MAX, model_put, NULL},
	{"DELETE", P "/models/{modelId}",                         ADMIN, 0,        model_delete, NULL},
};
/* clang-format on */
const size_t route_count = ARRAY_LEN(route_table);
