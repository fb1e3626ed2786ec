/* events.h - what rooms tell about themselves: typed events, never parsed text.
 * SPDX-License-Identifier: MIT */
#ifndef OBSERVE_EVENTS_H
#define OBSERVE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/list.h"
#include "lib/wire/frame.h"

enum event_type {
	EVENT_REGISTRATION, /* state, detail: why rejected, request id */
	EVENT_SESSION,	    /* state, detail: worker id or cause */
	EVENT_HEARTBEAT,    /* an ack arrived */
	EVENT_PAUSED,	    /* flag */
	EVENT_JOB,	    /* job_id, state, model, engine, kind; detail: error */
	EVENT_PROGRESS,	    /* job_id, stage, fraction, detail */
	EVENT_OUTBOX,	    /* count: entries waiting */
};
struct event {
	enum event_type type;
	int64_t wall_ms;
	const char *state, *detail, *job_id, *model, *engine, *kind;
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
