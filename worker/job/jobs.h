/* jobs.h - the one job slot, the pipeline and the durable outbox, as the session and the control
 * API see them (docs/protocol.md, section 7).
 *
 *   offered → accepted → provisioning → running → finished → delivering → delivered | failed
 *
 * The finished result and its manifest are in the outbox on disk, fsynced, before the first byte is
 * sent. SPDX-License-Identifier: MIT */
#ifndef JOB_JOBS_H
#define JOB_JOBS_H

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/work.h"
#include "lib/net/transport.h"
#include "lib/wire/frame.h"
#include "worker/engine/registry.h"
#include "worker/observe/events.h"

struct jobs;

/* What the job room needs of the session that is open now; the session gives it at welcome and
 * takes it back at its end. Frames about a job travel only on the session that accepted or resumed
 * it. */
struct job_link {
	int (*send)(void *arg, const char *frame,
		    struct err *e); /* negative: the session can't carry it */
	void *arg;
	const char *api_base; /* of url_api_base(); borrowed while the link is up */
	const char *worker_id;
	const struct secret *auth_token;
	unsigned features; /* what both peers announced */
};

struct jobs_deps {
	struct clock *clock;
	struct log *log;
	struct pool *pool;
	struct transport *transport;
	struct events *events;
	struct engines *engines;
	struct store *store; /* NULL: engines get no files brought (tests, the simulator) */
	/* Whether what an offer needs can ever fit here; asked when it would be accepted, before
	 * anything is unloaded or fetched. Negative with the reason for the studio. NULL: always.
	 */
	int (*admit)(void *arg, const struct claim *c, struct err *e);
	void *admit_arg;
	const char *state_dir; /* holds outbox/ and scratch/ */
};

/* Sweeps scratch/, reads the outbox (broken entries are set aside and logged, never fatal). */
struct jobs *jobs_new(const struct jobs_deps *d, struct err *e) MUST_CHECK;
/* Ends a running engine (its job is not failed: the studio offers it again), frees all. */
void jobs_free(struct jobs *j);

void jobs_link_up(struct jobs *j, const struct job_link *link); /* right after welcome */
void jobs_link_down(struct jobs *j);
/* Decides an offer: sends accept or reject itself over the link. Takes the claim. */
void jobs_offer(struct jobs *j, struct claim *claim);
void jobs_complete_ack(struct jobs *j, const char *job_id);
void jobs_fail_ack(struct jobs *j, const char *job_id);
void jobs_cancel(struct jobs *j, const char *job_id);
void jobs_resumed(struct jobs *j, char *const *keep, size_t n_keep, char *const *drop,
		  size_t n_drop);
/* The resume frame to send after `features`; free() it. Never NULL (an empty list says "nothing
 * kept"). */
char *jobs_resume_frame(struct jobs *j);

const char *jobs_current(const struct jobs *j); /* id of the job that is really running, or NULL */
void jobs_pause(struct jobs *j, bool paused); /* logs the change; a runtime state, never on disk */
bool jobs_paused(const struct jobs *j);
size_t jobs_outbox_len(const struct jobs *j);

#endif
