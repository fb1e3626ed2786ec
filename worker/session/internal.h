/* internal.h - what the files of the session room share.
 * SPDX-License-Identifier: MIT */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include "lib/base/mem.h"
#include "lib/net/transport.h"
#include "worker/session/session.h"

struct session {
	struct session_deps d;
	enum session_state state;
	enum session_outcome outcome;
	struct conn *conn; /* connecting, greeting, serving */
	uint64_t failures; /* in a row */
	struct timer
	    wait; /* poll while waiting, the pause while backing off, the last call once ended */
	struct timer idle; /* fires when the studio was silent for too long */
	struct timer beat, ship;
	struct timer break_up; /* a send failed: the session ends once its caller returned */
	struct err broken;
	bool said_waiting, shipped; /* shipped: a log batch is on its way */
	struct err config_err;	    /* of the last refresh, so that it is said once */

	/* what the open session was made with */
	char *url_option, *base, *worker_id;
	struct secret token;
};

/* session.c */
void session_move(struct session *s, enum session_state to, const char *detail);
/* Sends on the open connection; a failure also ends the session, soon. */
int session_send(struct session *s, const char *frame, struct err *e) MUST_CHECK;
/* Ends the connection and backs off. cause NULL: a plain disconnect; else logged as a session
 * error. */
void session_disconnect(struct session *s, const char *cause);
void session_auth_failed(struct session *s, const char *reason);
void session_fatal(struct session *s, enum session_outcome outcome, const char *reason);
void session_refresh_config(struct session *s);

/* frames.c */
void frames_receive(struct session *s, const char *text, size_t len);

/* heartbeat.c */
void heartbeat_start(struct session *s); /* the first one at once */
void heartbeat_stop(struct session *s);

/* shipping.c */
void shipping_start(struct session *s);
void shipping_drained(struct session *s);
void shipping_stop(struct session *s); /* what was not confirmed goes back */

#endif
