/* served.h - one job on a warm server: the lease, a second try on a fresh server, the deadlines,
 * the cancellation. What is left to a driver is what it asks the server and what it makes of the
 * answer.
 *
 *   waiting ──lease ready──▶ asking ──served_good()──▶ (over, the server stays warm)
 *      ▲                        │
 *      └── first time ──── died, silent for silence_ms, over total_ms, served_broken()
 *                               └── second time ──▶ failed(), with the engine's first error line
 *
 * SPDX-License-Identifier: MIT */
#ifndef HOST_SERVED_H
#define HOST_SERVED_H

#include "lib/base/clock.h"
#include "worker/host/host.h"

struct served_spec {
	struct warm_spec warm;
	const char *job_id;
	uint64_t silence_ms; /* without served_alive() while asking: the engine hangs; 0: never */
	uint64_t total_ms;   /* most that one try may take while asking */
};
struct served_ops {
	void (*loading)(void *arg, double fraction);  /* as in lease_events */
	void (*ask)(void *arg, const struct warm *w); /* send the request now */
	/* The server is gone or about to be: cancel the request in flight, forget what came of it.
	 * ask() may come again. */
	void (*abandon)(void *arg);
	void (*line)(void *arg, int fd, const char *line); /* already in the job's log */
	/* Last event, unless served_good() or served_refused() came first. The struct is gone after
	 * it. err is ECANCELED after served_cancel(). */
	void (*failed)(void *arg, const struct err *err, bool retryable);
};
struct served;
/* Arguments are copied. Never calls back from inside. */
struct served *served_start(struct host *h, struct clock *clock, struct log *log,
			    const struct served_spec *spec, const struct served_ops *ops,
			    void *arg);
void served_alive(struct served *s); /* progress was seen */
void served_good(struct served *s);  /* the answer is whole; frees s, the server stays warm */
/* The server works, but refused the request or failed it in a way that a second try won't change;
 * frees s, the server stays warm, no event follows: the driver ends the run itself. */
void served_refused(struct served *s);
/* The answer is garbage, or the server misbehaved: killed; tried again or failed(). */
void served_broken(struct served *s, const struct err *why);
/* ->failed with ECANCELED follows within 3 s. kill: the server can't drop the job otherwise
 * (after ->abandon); else it stays warm, unless it misbehaved before. */
void served_cancel(struct served *s, bool kill);
/* For a server that says when it has dropped a job: the driver then calls served_cancel(s, false).
 * Killed when that did not happen within ms; nothing is tried again, whatever happens meanwhile. */
void served_cancel_within(struct served *s, uint64_t ms);

#endif
