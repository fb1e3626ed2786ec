/* scratch.h - the folders engines work in: one a job, below state/scratch, gone when the job left
 * its engine. SPDX-License-Identifier: MIT */
#ifndef JOB_SCRATCH_H
#define JOB_SCRATCH_H

#include "lib/base/err.h"

/* A peer's job id never becomes a path: its hash does. free() it. */
char *scratch_path(const char *state_dir, const char *job_id);
/* These two block. The folder is empty after. */
int scratch_make(const char *path, struct err *e) MUST_CHECK;
void scratch_remove(const char *path);
struct pool;
void scratch_remove_in(struct pool *pool, const char *path); /* doesn't block */
/* What a crash left. Blocks; at start only. */
void scratch_sweep(const char *state_dir);

#endif
