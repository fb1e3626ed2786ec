/* world.h - what a null storage's operations do to memory.
 * SPDX-License-Identifier: MIT */
#ifndef STORAGE_WORLD_H
#define STORAGE_WORLD_H

#include "studio/storage/op.h"

/* Applies the operation and fills its reply. */
void world_apply(struct null_world *w, struct op *o);

/* For the simulator, which looks at the world behind everybody's back: how many operations were
 * applied, and every job, oldest first. */
uint64_t null_world_applied(const struct null_world *w);
void null_world_jobs(const struct null_world *w,
		     void (*fn)(void *arg, const struct job_record *job), void *arg);

#endif
