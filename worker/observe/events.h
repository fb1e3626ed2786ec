/* events.h - what rooms tell about themselves: typed events, never parsed text.
 * SPDX-License-Identifier: MIT */
#ifndef OBSERVE_EVENTS_H
#define OBSERVE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/list.h"
#include "lib/wire/frame.h"

enum event_type {
	/* state, detail: why rejected, request id, worker id; or, with flag, what failed, and
	   remedy */
	EVENT_REGISTRATION,
	/* state, detail: worker id; or, with flag, what failed, and remedy */
	EVENT_SESSION,
	EVENT_HEARTBEAT, /* an ack arrived */
	EVENT_PAUSED,	 /* flag */
	EVENT_JOB,	 /* job_id, state, model, engine, kind; detail: error */
	EVENT_PROGRESS,	 /* job_id, stage, fraction, detail */
	EVENT_OUTBOX,	 /* count: entries waiting */
};
struct event {
	enum event_type type;
	int64_t wall_ms;
	const char *state, *detail, *job_id, *model, *engine, *kind;
	const char *remedy; /* of a failure: what its owner can do */
	enum stage stage;
	double fraction;
	bool flag;
	uint64_t count;
};
struct observer {
	struct list_node node;
	void (*event)(struct observer *o, const struct event *e); /* texts valid during the call */
};
struct events {
	struct list observers;
};

void events_init(struct events *ev);
void events_subscribe(struct events *ev, struct observer *o);
void events_unsubscribe(struct events *ev, struct observer *o);
void events_publish(struct events *ev, const struct event *e);

#endif
