/* parts.h - the inside of the hub, shared by its files only.
 *
 * A seat is a worker that is connected or still holds jobs; a session is one of its sockets; a hold
 * is one job that is offered to, claimed by or on its way from a worker. The storage decides, the
 * hub mirrors: a hold goes when the queue reports its job queued, done or failed.
 *
 *   session:  CHECKING ──token fine──▶ GREETING ──hello──▶ SERVING        (any) ──▶ ENDED
 *
 *   hold:  RESERVING ─stored▶ OFFERED ─accept▶ ACCEPTING ─stored▶ CLAIMED ─result▶ ENDING
 *              │                │                │               │ ▲            │
 *              │                │                │ socket lost   ▼ │ resumed    │ failed
 *              │                │                └────────────▶ LOST ◀──────────┘
 *              └── withdrawn ───┴──▶ RELEASING ◀── grace over ───┘
 *
 *             ENDING and RELEASING end with the queue's report of the job.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HUB_PARTS_H
#define HUB_PARTS_H

#include <uthash.h>

#include "lib/base/list.h"
#include "lib/wire/frame.h"
#include "studio/hub/backlog.h"
#include "studio/hub/hub.h"

struct intake;

enum hold_state {
	HOLD_RESERVING, /* asked the storage; no offer was sent */
	HOLD_OFFERED,
	HOLD_ACCEPTING, /* the worker accepted, the storage has not answered */
	HOLD_CLAIMED,
	HOLD_ENDING,	/* a result or failure is being stored */
	HOLD_LOST,	/* its worker's socket is gone, the grace time runs */
	HOLD_RELEASING, /* going back to the queue; asked again until the storage does it */
	HOLD_STATES,
};

struct hold {
	UT_hash_handle hh;     /* hub.holds, by job_id */
	struct list_node node; /* seat.holds */
	uint64_t no;	       /* a later hold of the same job has another */
	char *job_id;
	char *shape; /* its key, since the offer; NULL before */
	struct seat *seat;
	uint64_t session; /* number of the socket its frames belong to; 0: none */
	enum hold_state state;
	bool resumable;
	bool bytes;	    /* its result comes by upload, never by completeJson */
	bool finished;	    /* its result waits at the worker: takes no slot */
	const char *why;    /* releasing: a constant */
	struct timer timer; /* offer, grace, or the next try to release */
	int64_t since_ms;   /* wall */

	bool has_progress;
	enum stage stage;
	double fraction;
	char *detail;
	int64_t progress_ms;
};

struct seat {
	UT_hash_handle hh; /* hub.seats, by worker_id */
	struct hub *hub;
	char *worker_id;
	struct session *session; /* the one that is served, or NULL */
	struct list holds;
};

enum session_state { SESSION_CHECKING, SESSION_GREETING, SESSION_SERVING, SESSION_ENDED };

/* What the worker may still say of claims from before this socket. */
enum window { WINDOW_FEATURES, WINDOW_RESUME, WINDOW_CLOSED };

/* Jobs that left the session by the studio's doing, for frames that cross on the wire. */
enum past { PAST_NONE, PAST_ENDED, PAST_WITHDRAWN, PAST_CANCELLED };
#define PAST_MAX	16
#define SHUN_MAX	8
#define REFUSED_MAX	16
#define LOG_BURST	5000	   /* lines at once; 100 a second in the long run */
#define LOG_BURST_BYTES (1u << 20) /* as well; 64 KB a second in the long run */

struct past_job {
	char *job_id;
	enum past past;
};
struct shunned { /* not offered to this worker for a while */
	char *job_id;
	uint64_t until_ms;
};

struct refusal { /* jobs of this shape are not offered to this worker for a while */
	char *shape, *why;
	uint64_t until_ms;
};

struct names {
	char **items;
	size_t n;
};

struct session {
	UT_hash_handle hh; /* hub.sessions_by_no */
	struct list_node
	    node; /* hub.sessions in order of welcome, hub.strangers before, hub.dead after */
	uint64_t no;
	struct hub *hub;
	struct conn *conn; /* NULL once it ended */
	char *worker_id;
	struct secret bearer;
	char *token_hash; /* as stored */
	struct worker_frame *hello;
	enum session_state state;
	struct timer deadline; /* hello, then heartbeat */
	struct timer kick;     /* looks for work again */

	struct capabilities *capabilities; /* last ones */
	json_t *stored;			   /* capabilities as last written */
	int64_t stored_ms;
	unsigned features;
	enum window window;
	bool resumed;  /* said resume */
	bool settled;  /* said a heartbeat, or a second passed since welcome */
	bool held_off; /* rejected or ignored an offer: waits for a heartbeat */
	char *
	    current_job; /* of the last heartbeat, or one that goes on although it was taken away */
	int64_t since_ms, beat_ms;
	struct past_job past[PAST_MAX];
	struct shunned shunned[SHUN_MAX];
	struct refusal refused[REFUSED_MAX];
	size_t next_past, next_shunned, next_refused;
	uint64_t log_lines, log_bytes, log_budget_ms;
	size_t resuming; /* reclaims under way */
	struct names keep, drop;
};

/* One question to the queue or the storage. Freed with the hub when no answer came. */
struct ask {
	struct list_node node;
	struct hub *hub;
	uint64_t session, hold;
	char *job_id;
	bool flag; /* of the one who asks */
};

struct hub {
	struct hub_deps d;
	struct seat *seats;
	struct hold *holds;
	struct session *sessions_by_no;
	struct list sessions;  /* serving, earliest first */
	struct list strangers; /* not welcomed yet */
	struct list dead;      /* freed at the end of the loop turn */
	struct list asks;
	struct list intakes; /* under way; freed with the hub when no answer comes */
	struct backlog backlog;
	struct timer bury;
	struct timer reload; /* the storage failed while the hub read it */
	uint64_t next_no;
	bool loaded; /* the claims in storage are known: workers may be welcomed */
	int64_t claims_seq, backlog_seq;
};

/* ---- hub.c ---- */
struct ask *ask_new(struct hub *h, const struct session *s, const struct hold *hold,
		    const char *job_id);
void ask_free(struct ask *a);
struct session *hub_session(struct hub *h, uint64_t no); /* alive, or NULL */
struct seat *hub_seat(struct hub *h, const char *worker_id, bool make);
void seat_check(struct hub *h, struct seat *seat); /* frees it when nothing is left in it */

/* ---- hold.c ---- */
struct hold *hold_new(struct hub *h, struct seat *seat, const char *job_id, enum hold_state state);
void hold_move(struct hub *h, struct hold *hold, enum hold_state to);
void hold_drop(struct hub *h, struct hold *hold);
struct hold *hold_find(struct hub *h, const char *job_id);
struct hold *hold_of_ask(const struct ask *a); /* NULL when it went meanwhile */
struct hold *hold_of_session(const struct session *s,
			     const char *job_id); /* NULL when not on this socket */
void hold_release(struct hub *h, struct hold *hold, const char *why);
void hold_lose(struct hub *h, struct hold *hold);  /* its socket went */
void hold_grace(struct hub *h, struct hold *hold); /* LOST, with the timer */
void hold_finished(
    struct hub *h,
    struct hold *hold); /* its result waits at the worker, which has some time to deliver */
bool makes_bytes(const struct job_record *job);
bool seat_busy(const struct seat *seat);

/* ---- refusal.c: what a worker said it can't do now or ever ---- */
/* For a while, or until what it can do changes. why: as the worker wrote it. */
void session_refuses(struct session *s, const char *shape, const char *why, uint64_t ms);
/* NULL when it did not refuse that lately. */
const struct refusal *session_refusal(const struct session *s, const char *shape);
/* What was refused is asked again when these differ from the last ones. */
void session_reconsider(struct session *s, const struct capabilities *now);
void session_refusals_free(struct session *s);

/* ---- dispatch.c ---- */
bool worker_willing(const struct session *s);			      /* apart from what it holds */
bool worker_fits(const struct session *s, const struct shape *shape); /* could serve it */
void dispatch_session(struct session *s); /* finds a job for the worker, when it is free */
void dispatch_job(struct hub *h, struct backlog_job *job); /* finds a worker for the job */

/* ---- session.c ---- */
void session_try_welcome(struct session *s);
/* Sends and frees the text. False when the session ended by it. */
bool session_send(struct session *s, char *text);
void session_close(struct session *s, int code, const char *reason);
void session_error(struct session *s, enum error_code code, int close_code, const char *message);
void session_violation(struct session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void session_set_past(struct session *s, const char *job_id, enum past past);
enum past session_past(const struct session *s, const char *job_id);
void session_shun(struct session *s, const char *job_id, uint64_t ms);
bool session_shuns(const struct session *s, const char *job_id);
void session_cancel(struct session *s,
		    const char *job_id); /* tells the worker to stop; only with FEATURE_CANCEL */
void session_beat(struct session *s);	 /* the heartbeat's deadline starts anew */
void session_free(struct session *s);

/* ---- frames.c ---- */
void session_frame(struct session *s, struct worker_frame *f); /* of a session that is served */
void session_store_capabilities(struct session *s);

/* ---- lines.c ---- */
/* Stores the worker's log lines, cut to what is allowed (in place). */
void session_log(struct session *s, struct log_line *lines, size_t n);

/* ---- resume.c ---- */
void session_window_close(struct session *s); /* claims from before this socket are released */
void session_resume(struct session *s, const struct worker_frame *f);
void session_reclaim(struct session *s, const char *job_id); /* an accept that came too late */

/* ---- intake.c ---- */
void intake_forget(struct intake *i); /* NULL not allowed; nobody is told */
struct intake *intake_of_node(struct list_node *n);

#define CLOSE_GOING_AWAY 1001 /* the studio stops */
#define CLOSE_INTERNAL	 1011 /* storage failed: the worker comes back */
#define CLOSE_TRY_LATER	 1013 /* too many strangers */

#endif
