/* routes.h - the route table and the handlers it names; each gets the struct api_deps as its arg.
 * SPDX-License-Identifier: MIT */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "lib/net/server.h"

enum access { ACCESS_OPEN, ACCESS_ADMIN };

struct api_route {
	const char *method, *pattern;
	enum access access;
	size_t max_body;
	void (*handle)(struct request *r, void *arg);
	const struct multipart_events *multipart;
};
extern const struct api_route route_table[];
extern const size_t route_count;

/* health.c */
void health_get(struct request *r, void *arg);
/* admission_routes.c */
void register_request_post(struct request *r, void *arg);
void register_request_get(struct request *r, void *arg);
void pending_list(struct request *r, void *arg);
void pending_approve(struct request *r, void *arg);
void pending_reject(struct request *r, void *arg);
/* upload_route.c */
extern const struct multipart_events upload_events;
void upload_end(struct request *r, void *arg);
/* worker_routes.c */
void worker_list(struct request *r, void *arg);
void worker_delete(struct request *r, void *arg);
void worker_logs(struct request *r, void *arg);
/* submit_route.c */
void job_submit(struct request *r, void *arg);
/* job_routes.c */
void job_list(struct request *r, void *arg);
void job_get(struct request *r, void *arg);
void job_result(struct request *r, void *arg);
void job_delete(struct request *r, void *arg);
void job_retry(struct request *r, void *arg);
/* model_routes.c */
void model_list(struct request *r, void *arg);
void model_get(struct request *r, void *arg);
void model_put(struct request *r, void *arg);
void model_delete(struct request *r, void *arg);

#endif
