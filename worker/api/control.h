/* control.h - the control API: HTTP on an owner-only Unix socket in the state folder, for `status`,
 * `pause` and `resume`.
 *
 *   GET /healthz          {"ok": true}
 *   GET /daemon/status    see status.h
 *   POST /daemon/pause    {"paused": true}; likewise /daemon/resume
 *
 * SPDX-License-Identifier: MIT */
#ifndef API_CONTROL_H
#define API_CONTROL_H

#include "lib/loop/loop.h"
#include "lib/net/server.h"
#include "worker/api/status.h"

struct control_deps {
	struct loop *loop;
	struct log *log;
	struct jobs *jobs;
	struct status_deps status;
};
struct control;
/* NULL with e filled when the socket can't be made. The folder's lock must be held: a socket that
 * is there is stale. */
struct control *control_new(const struct control_deps *d, struct err *e) MUST_CHECK;
void control_free(struct control *c);

/* ---- the other end, for commands; blocks ---- */
/* The answer's JSON, NULL with e filled; e->code is ECONNREFUSED or ENOENT when no daemon listens.
 */
json_t *control_call(const char *state_dir, const char *method, const char *path,
		     struct err *e) MUST_CHECK;

#endif
