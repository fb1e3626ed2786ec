/* sim.h - the seeded simulator: a studio and its workers in one process, over a fake network,
 * clock, pool and engine. Everything random comes from the seed, so that a seed replays exactly;
 * see docs/simulator.md. SPDX-License-Identifier: MIT */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "lib/wire/kind.h"
#include "tests/fake/fake_net.h"

#define SIM_WORKERS_MAX 8
#define SIM_JOBS_MAX	40
#define TRACE_LINES	120
#define TRACE_WIDTH	256

/* What kind of world a seed makes. */
struct profile {
	unsigned workers, jobs;
	unsigned faults;       /* bits of enum fault */
	uint64_t fault_gap_ms; /* mean time between two */
	uint64_t quiet_ms;     /* faults end */
	uint64_t hop_ms;       /* longest usual way over the network */
	unsigned crash_one_in; /* a crash right after an event; 0: never */
	unsigned kill_one_in;  /* a crash inside a work of the pool; 0: never */
	unsigned fail_percent; /* engine runs that fail */
	bool plain;	       /* nobody knows an extension */
	bool leaver;	       /* one worker goes for good, with a job in its hands if it can be */
	bool blind; /* the studio does not see what a worker runs, and offers to it all the same */
};

/* One job as the client who submitted it knows it, and what was seen of it. */
struct expect {
	struct sim *sim;
	unsigned no;
	enum kind kind;
	char prompt[48];
	char *id; /* NULL until it was seen in storage */
	struct timer submit;
	bool submitting, acked; /* acked: the studio said that it has it */
	bool cancelled;
	int state; /* enum job_state; -1: not in storage */
	char *holder;
	uint64_t seen;		    /* by the last look into storage */
	unsigned fails, hard_fails; /* fail frames that reached the studio */
};

struct studio;
struct worker;

struct sim {
	uint64_t seed, step;
	struct profile profile;
	struct rng rng;
	struct clock clock;
	struct fake_net net;
	char *root; /* folder of all workers */
	struct studio *studio;
	struct worker *workers[SIM_WORKERS_MAX];
	struct expect jobs[SIM_JOBS_MAX];
	struct timer fault, quiet, converge;
	struct list windows;  /* faults that end by themselves */
	bool healed, settled; /* settled: every session must be and stay open */
	uint64_t spike_until_ms;
	uint64_t looked; /* operations of the storage at the last look */
	uint64_t looks;

	bool failed, echo;
	char verdict[512];
	char trace[TRACE_LINES][TRACE_WIDTH];
	uint64_t traced, hash;
};

/* ---- sim.c ---- */
struct sim *sim_new(uint64_t seed, const char *tmp, bool echo);
void sim_run(struct sim *s); /* until it is over, or failed */
void sim_free(struct sim *s);
uint64_t sim_between(struct sim *s, uint64_t lo, uint64_t hi); /* both included */
bool sim_one_in(struct sim *s, unsigned n);		       /* never for 0 */
struct expect *sim_expect(struct sim *s, const char *job_id);

/* ---- trace.c ---- */
void sim_trace(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_trace_log(struct sim *s, const char *who, const struct log_entry *e);
void sim_trace_print(const struct sim *s);
/* The first one ends the run. */
void sim_violation(struct sim *s, const char *invariant, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- faults.c ---- */
enum fault {
	FAULT_CUT,
	FAULT_HALF_OPEN,
	FAULT_CRASH_WORKER,
	FAULT_CRASH_STUDIO,
	FAULT_STOP_WORKER,
	FAULT_DISK_FULL,
	FAULT_WALL_JUMP,
	FAULT_PAUSE,
	FAULT_SPIKE,
	FAULT_CANCEL,
	FAULT_COUNT,
};
void faults_profile(struct sim *s);
void faults_start(struct sim *s);
void faults_end(struct sim *s);
void faults_after_event(struct sim *s); /* a crash between two events */

/* ---- check.c: the invariants ---- */
void check_storage(struct sim *s);
char *check_tap(void *arg, struct fake_client *c, bool by_studio, bool arrives, const char *text,
		size_t len);
bool check_over(struct sim *s); /* everything is as it must be in the end */
void check_end(struct sim *s);

/* ---- studio.c ---- */
struct studio *studio_new(struct sim *s);
void studio_free(struct studio *st);
void studio_start(struct studio *st);
void studio_crash(struct studio *st, uint64_t back_ms);
bool studio_up(const struct studio *st);
void studio_submit(struct studio *st, struct expect *x);
void studio_cancel(struct studio *st, struct expect *x);
/* Makes the worker known, as an approved registration would. */
void studio_admit(struct studio *st, const char *worker_id, const struct secret *token);
struct null_world *studio_world(struct studio *st);
struct blob_world *studio_blobs(struct studio *st);

/* ---- worker.c ---- */
struct worker *worker_new(struct sim *s, unsigned no);
void worker_free(struct worker *w);
void worker_start(struct worker *w);
void worker_crash(struct worker *w, uint64_t back_ms);
void worker_stop(struct worker *w, uint64_t back_ms); /* SIGTERM */
void worker_leave(struct worker *w);		      /* for good */
void worker_heal(struct worker *w);
void worker_pause(struct worker *w, bool paused);
void worker_disk_full(struct worker *w, bool full);
void worker_bury(struct worker *w); /* crashes one that was killed inside a work */
bool worker_up(const struct worker *w);
bool worker_gone(const struct worker *w); /* left for good */
bool worker_serving(const struct worker *w);
size_t worker_outbox(const struct worker *w);
const char *worker_id(const struct worker *w);
struct fake_client *worker_client(struct worker *w);
bool worker_knows_extensions(const struct worker *w);
/* What the studio has been told. */
struct told {
	bool enabled;
	bool finished[SIM_JOBS_MAX]; /* of the last resume */
};
struct told *worker_told(struct worker *w);
/* The last HTTP status the studio answered to an upload. */
void worker_answered(struct worker *w, const struct expect *x, int status);

#endif
