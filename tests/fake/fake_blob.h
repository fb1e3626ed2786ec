/* fake_blob.h - the blob seam's fake: results in memory that outlives a crash of the studio.
 * SPDX-License-Identifier: MIT */
#ifndef FAKE_BLOB_H
#define FAKE_BLOB_H

#include "lib/base/clock.h"
#include "studio/blob/blob.h"

struct blob_world; /* what is durable */
struct blob_world *blob_world_new(void);
void blob_world_free(struct blob_world *w);
/* NULL when there is none; borrowed until it is removed. */
const char *blob_world_get(const struct blob_world *w, const char *name, size_t *len);
size_t blob_world_len(const struct blob_world *w);

/* A commit is durable half its delay after the call and told at the end. */
struct blob_store *fake_blob_open(struct blob_world *w, struct clock *clock,
				  uint64_t (*delay)(void *arg), void *arg);
/* What is not durable yet never is, nobody is told; frees the store. Writers are to be aborted
 * before. */
void fake_blob_crash(struct blob_store *b);

#endif
