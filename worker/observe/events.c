/* events.c - see events.h.
 * SPDX-License-Identifier: MIT */
#include "worker/observe/events.h"

void events_init(struct events *ev)
{
	list_init(&ev->observers);
}

void events_subscribe(struct events *ev, struct observer *o)
{
	list_push_back(&ev->observers, &o->node);
}

void events_unsubscribe(struct events *ev, struct observer *o)
{
	list_remove(&ev->observers, &o->node);
}

void events_publish(struct events *ev, const struct event *e)
{
	list_each_safe (it, &ev->observers) {
		struct observer *o = list_entry(it, struct observer, node);
		o->event(o, e);
	}
}
