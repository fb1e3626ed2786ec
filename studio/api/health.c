/* health.c - GET /healthz: that the loop turns, and which version it is.
 * SPDX-License-Identifier: MIT */
#include "studio/api/routes.h"

void health_get(struct request *r, void *arg)
{
	(void)arg;
	respond_json(r, 200, json_pack("{s:s, s:s}", "status", "ok", "version", PROGRAM_VERSION));
}
