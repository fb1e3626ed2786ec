/* shipping.c - log lines to the studio, a batch a second while there are any.
 * A batch counts as delivered when the kernel has it; until then the end of the session puts it
 * back. SPDX-License-Identifier: MIT */
#include "worker/session/internal.h"

#define SHIP_MS 1000

static void ship(void *arg)
{
	struct session *s = arg;
	struct err e = ERR_INIT;
	timer_start(&s->ship, s->d.clock, SHIP_MS, ship, s);
	if (s->shipped || !ship_len(s->d.ship))
		return; /* the last one is not through yet, or there is none */
	auto_free char *frame = ship_take(s->d.ship);
	if (!frame)
		return;
	if (session_send(s, frame, &e) < 0)
		ship_restore(s->d.ship);
	else
		s->shipped = true;
}

void shipping_start(struct session *s)
{
	timer_start(&s->ship, s->d.clock, SHIP_MS, ship, s);
}

void shipping_drained(struct session *s)
{
	if (!s->shipped)
		return;
	s->shipped = false;
	ship_confirm(s->d.ship);
}

void shipping_stop(struct session *s)
{
	timer_stop(&s->ship);
	s->shipped = false;
	ship_restore(s->d.ship);
}
