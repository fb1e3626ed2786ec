/* prebuilt.h - fetches the engine's pinned prebuilt archive where the owner has none.
 *
 *   checked (platform, Vulkan loader, a pinned SHA-256) ──▶ prepare (pool: lock, folder) ──▶ fetch
 *      ──▶ install (pool: hash, unpack, rename, links) ──▶ end
 *
 * Goes to models_root/bin/sd-cpp-<hash>/, with links sd-server and sd-cli beside it, where
 * engine_program_find() looks. All of it is the owner's alone (0700). Nothing is installed whose
 * SHA-256 is not the expected one. For mirrors: $STUDIO_WORKER_SD_CPP_URL and
 * $STUDIO_WORKER_SD_CPP_SHA256 (another archive; both also make it work on a platform without a row
 * in the table). SPDX-License-Identifier: MIT */
#ifndef SD_CPP_PREBUILT_H
#define SD_CPP_PREBUILT_H

#include "worker/engine/engine.h"

struct prebuilt_events {
	/* fraction 0..1, negative when not known. May be NULL. */
	void (*progress)(void *arg, double fraction, const char *detail);
	/* Last event, exactly once, never from inside a call. err NULL: it is installed. */
	void (*end)(void *arg, const struct err *err, bool retryable);
};

/* Whether there is something to fetch for this machine, by looking at the table, the environment
 * and the Vulkan loader alone: for check(), info() and "what is missing". Negative with err saying
 * what else to do. */
int prebuilt_check(struct err *e) MUST_CHECK;

struct prebuilt;
/* env->store, net, pool and clock are set; what they point to outlives it, env need not. One at a
 * time for all jobs is the caller's business; a second one (also of another process) ends with
 * EBUSY, retryable. */
struct prebuilt *prebuilt_get(const struct engine_env *env, const struct prebuilt_events *ev,
			      void *arg);
void prebuilt_cancel(struct prebuilt *p); /* no event follows; NULL allowed, not after ->end */

#endif
