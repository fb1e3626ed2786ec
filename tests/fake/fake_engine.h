/* fake_engine.h - the engine seam's fake: serves every kind under the name "fake", by hand or by
 * itself. It wants its files brought, in the rooms that have a store. Results depend on job id and
 * prompt alone, so that a test knows what must arrive. SPDX-License-Identifier: MIT */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "worker/engine/engine.h"

struct fake_run;

/* Give &lab->env to engines_new_from(env, fake_engine_table). */
struct fake_lab {
	struct engine_env env; /* first thing to fill: clock, pool, log */
	/* By itself: how long a run takes (ms), and whether it fails then. Both NULL: by hand, see
	 * below. */
	uint64_t (*duration)(void *arg, const struct engine_job *job);
	bool (*fails)(void *arg, const struct engine_job *job, bool *retryable);
	void (*started)(void *arg, const struct engine_job *job); /* may be NULL */
	void (*ended)(void *arg, const char *job_id, bool ok);	  /* may be NULL */
	void *arg;
	const char *refuse; /* set: start() fails with this text, retryable as below */
	bool refuse_retryable;
	const char *wrong;  /* set: check() fails with this text */
	uint64_t cancel_ms; /* a cancelled run ends after so long */
	unsigned starts, cancels;
	struct list runs;
};

extern const struct engine_ops fake_engine_ops;
extern const struct engine_ops *const fake_engine_table[]; /* {&fake_engine_ops, NULL} */

void fake_lab_init(struct fake_lab *lab, struct clock *clock, struct log *log, struct pool *pool);
/* After a crash of its worker: forgets all runs, telling nobody. */
void fake_lab_crash(struct fake_lab *lab);
/* Ends all runs now, as failed: for owners that are freed by the end of their run. */
void fake_lab_stop(struct fake_lab *lab);
/* The run of a job, NULL when there is none (job_id NULL: the oldest). */
struct fake_run *fake_lab_run(struct fake_lab *lab, const char *job_id);
void fake_run_progress(struct fake_run *r, enum stage stage, double fraction, const char *detail);
/* Both end the run in the next clock_run(). */
void fake_run_finish(struct fake_run *r);
void fake_run_fail(struct fake_run *r, const char *error, bool retryable);

/* What a run produces: bytes for the file kinds, a JSON object for the others. The caller's. */
char *fake_result_bytes(const char *job_id, const char *prompt, size_t *len);
json_t *fake_result_json(const char *job_id, const char *prompt);

#endif
