/* session.h - the one WebSocket session with the studio (docs/protocol.md, section 6).
 *
 *   waiting ──credentials──▶ connecting ──upgrade──▶ greeting ──welcome──▶ serving
 *      ▲                         │                      │                     │
 *      └────── backing off ◀─────┴──────────────────────┴─────────────────────┘
 *                   └──▶ ended (auth failed, fatal, attempts exhausted, stopped)
 *
 * SPDX-License-Identifier: MIT */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "worker/config/identity.h"
#include "worker/job/jobs.h"
#include "worker/observe/ship.h"

enum session_state {
	SESSION_WAITING,
	SESSION_CONNECTING,
	SESSION_GREETING,
	SESSION_SERVING,
	SESSION_BACKING_OFF,
	SESSION_ENDED,
};
enum session_outcome { /* why it ended; the program's exit code follows from it */
		       SESSION_STOPPED,
		       SESSION_AUTH_FAILED,
		       SESSION_FATAL,
		       SESSION_EXHAUSTED,
		       SESSION_STUDIO_ERROR, /* error frames internal_error, protocol_violation: a
						new start may help */
};

struct session_deps {
	struct clock *clock;
	struct log *log;
	struct transport *transport;
	struct events *events;
	struct jobs *jobs;
	struct ship *ship;
	struct config
	    *config; /* re-read every second while waiting, before every connect and heartbeat */
	void (*config_changed)(void *arg); /* an edit was read; may be NULL */
	void *config_arg;
	const struct identity *identity;
	struct capabilities *(*capabilities)(void *arg); /* a fresh snapshot, the caller's */
	void *capabilities_arg;
	/* Last call, once, from a timer: the session may be freed inside. */
	void (*ended)(void *arg, enum session_outcome outcome);
	void *ended_arg;
};
struct session;
struct session *session_new(const struct session_deps *d);
void session_start(struct session *s);
/* Closes with 1000 "session ended" and ends with SESSION_STOPPED, at once in every state. */
void session_stop(struct session *s);
void session_free(struct session *s);
enum session_state session_state(const struct session *s);

#endif
