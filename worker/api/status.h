/* status.h - what `studio-worker status --json` prints: the same object from a running daemon and
 * from disk.
 *
 *   {running, version, configPath, apiBaseUrl, vramThresholdGb, workerId?, pid?, startedAt?,
 *    registration: {state, detail?, lastError?},
 *    session: {state, detail?, since?, lastHeartbeat?, lastError?}, paused,
 *    currentJob: {jobId, kind, model, engine, state, startedAt, stage?, fraction?, detail?} | null,
 *    jobs: [the recent 50, oldest first], outbox: results that wait for delivery,
 *    models?: see store_status(), warmEngines?: see host_status(); both of a running daemon only}
 *   lastError: {text, at, remedy?}, until the same thing works again
 *
 * SPDX-License-Identifier: MIT */
#ifndef API_STATUS_H
#define API_STATUS_H

#include <jansson.h>

#include "worker/config/identity.h"
#include "worker/host/host.h"
#include "worker/job/jobs.h"
#include "worker/model/store.h"
#include "worker/observe/history.h"

struct status_deps {
	const struct config *config;
	const struct identity *identity;
	const struct history *history;
	const struct jobs *jobs;
	struct store *store;
	struct host *host;
	int64_t started_ms;
};
/* Both return a new reference. */
json_t *status_live(const struct status_deps *d);
json_t *status_from_disk(const struct config *c, const struct identity *id);

#endif
