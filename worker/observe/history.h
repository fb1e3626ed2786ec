/* history.h - the recent 50 jobs and the live state, kept from events, for `status` (and on disk
 * for when no daemon runs). SPDX-License-Identifier: MIT */
#ifndef OBSERVE_HISTORY_H
#define OBSERVE_HISTORY_H

#include <jansson.h>

#include "lib/base/clock.h"
#include "lib/base/work.h"
#include "worker/observe/events.h"

struct history;
/* Loads state_dir/history.json when it is there and whole; saves (at most once a second, in the
 * pool) when it changed. */
struct history *history_new(struct clock *clock, struct pool *pool, struct events *ev,
			    const char *state_dir);
void history_free(struct history *h); /* saves what is not saved yet */
/* {"registration":{…}, "session":{state, since, lastHeartbeat}, "paused", "currentJob":{…}|null,
 * "jobs":[…50], "outbox": n}; registration and session hold lastError:{text, at, remedy} while what
 * failed last has not worked since. */
json_t *history_status(const struct history *h); /* new reference */

#endif
