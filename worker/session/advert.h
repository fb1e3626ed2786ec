/* advert.h - the capability snapshot: what this worker says of itself right now.
 * SPDX-License-Identifier: MIT */
#ifndef SESSION_ADVERT_H
#define SESSION_ADVERT_H

#include "worker/config/config.h"
#include "worker/device/device.h"
#include "worker/job/jobs.h"

struct advert_deps {
	const struct config *config;
	struct engines *engines;
	struct device *device;
	struct jobs *jobs; /* for pause */
	struct log *log;
};
/* Fresh at every call; the caller's. */
struct capabilities *advert_snapshot(const struct advert_deps *d);
/* The lines of docs/protocol.md, section 6: "advertising …", and the warning about the threshold.
 */
void advert_log(const struct advert_deps *d, const struct capabilities *c);

#endif
