/* internal.h - what the parts of the store share: the store itself, and what tests may change.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "lib/base/list.h"
#include "lib/base/rng.h"
#include "lib/base/work.h"
#include "lib/net/fetch.h"
#include "worker/model/limit.h"
#include "worker/model/store.h"

struct store_tuning {
	uint64_t stall_ms;   /* without a byte */
	uint64_t backoff_ms; /* before the first retry; doubles */
	uint64_t wait_ms;    /* between two looks at what another process downloads */
	uint64_t piece;	     /* the smallest range for a stream of its own, bytes */
	unsigned give_up;    /* failures in a row without a new byte */
};

struct store {
	struct store_deps deps;
	char *root;
	struct store_tuning tune;
	struct rng rng;
	struct limit limit;
	uint64_t quota;
	char **allow_hosts;
	char *studio_origin;
	struct fetch_policy policy;
	struct list downloads; /* struct download */
	struct list holds;     /* struct hold */
	uint64_t kept;	       /* bytes of what was downloaded, as of the last look */
	struct store_look *looking;
};

struct store_look { /* outlives the store when that goes */
	struct work work;
	struct store *store;
	char *root;
	uint64_t bytes;
};

/* Whether a job or a warm engine needs this file: it is neither evicted nor replaced. */
bool store_needs(struct store *s, const char *path);
void store_look(struct store *s); /* brings `kept` up to date, in the pool */

#endif
