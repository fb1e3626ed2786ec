/* room.c - whether there is GPU memory for one more server, and what has to go for it.
 * What counts is what the driver says now; estimates stand in for what can't be seen: memory that a
 * server is yet to take, and everything where no probe answers. SPDX-License-Identifier: MIT */
#include <errno.h>

#include "lib/base/mem.h"
#include "worker/host/internal.h"

#define GB(bytes) ((double)(bytes) / (double)(1ull << 30))

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t room_held(const struct server *s)
{
	return s->measured ? s->held : s->spec.s.memory_bytes;
}

/* What a server may still take: until it has worked once, it may not have loaded its weights. */
static uint64_t yet_to_take(const struct server *s)
{
	return s->served ? 0 : minus(s->spec.s.memory_bytes, s->held);
}

/* The memory as it is now. */
struct look {
	struct gpu_memory gpu;
	uint64_t free;	    /* without the margin, and what own servers are yet to take */
	uint64_t estimates; /* of all own servers */
	uint64_t idle, idle_estimates; /* of those no job uses, or that end */
	bool others;		       /* some server is at work or loads: its memory will come */
	bool dying;		       /* some server ends */
};

static void look_at(struct look *l, const struct server *s)
{
	uint64_t estimate = s->spec.s.memory_bytes;
	l->estimates += estimate;
	l->free = minus(l->free, l->gpu.measured ? yet_to_take(s) : estimate);
	if (server_idle(s) || server_dying(s)) {
		/* What was taken off above comes back with it. */
		l->idle +=
		    l->gpu.measured ? room_held(s) + (s->measured ? yet_to_take(s) : 0) : estimate;
		l->idle_estimates += estimate;
	} else {
		l->others = true;
	}
	l->dying = l->dying || server_dying(s);
}

static void look(struct host *h, struct look *l)
{
	*l = (struct look){0};
	device_gpu_memory(h->device, &l->gpu);
	l->free = minus(l->gpu.free, h->limits.margin_bytes);
	list_each (n, &h->servers)
		look_at(l, list_entry(n, struct server, node));
	/* Measurements of two servers at once count some memory twice. */
	uint64_t most = minus(minus(l->gpu.total, h->limits.margin_bytes), l->free);
	if (l->idle > most)
		l->idle = most;
}

/* Beyond what this machine can ever give. */
static int never_fits(struct host *h, const struct gpu_memory *gpu, uint64_t needed, struct err *e)
{
	if (needed > h->limits.memory_bytes)
		return err_set(e, ENOMEM,
			       "it needs %.1f GB of GPU memory, but the owner lends %.1f GB",
			       GB(needed), GB(h->limits.memory_bytes));
	if (gpu->known && needed > minus(gpu->total, h->limits.margin_bytes))
		return err_set(e, ENOMEM,
			       "it needs %.1f GB of GPU memory, but the GPU has %.1f GB, of which "
			       "%.1f GB are left alone",
			       GB(needed), GB(gpu->total), GB(h->limits.margin_bytes));
	return 0;
}

/* With everything unloaded that no job uses. */
static int fits_emptied(struct host *h, const struct look *l, uint64_t needed, struct err *e)
{
	uint64_t lent = l->estimates - l->idle_estimates;
	if (needed > minus(h->limits.memory_bytes, lent))
		return err_set(
		    e, ENOMEM,
		    "it needs %.1f GB of GPU memory, but %.1f GB of the %.1f GB that the "
		    "owner lends are in use",
		    GB(needed), GB(lent), GB(h->limits.memory_bytes));
	if (l->gpu.known && needed > l->free + l->idle)
		return err_set(
		    e, ENOMEM,
		    "it needs %.1f GB of GPU memory, but only %.1f GB are free or held by "
		    "idle engines, beside %.1f GB that are left alone",
		    GB(needed), GB(l->free + l->idle), GB(h->limits.margin_bytes));
	return 0;
}

static bool fits_now(const struct host *h, const struct look *l, uint64_t needed)
{
	return needed <= minus(h->limits.memory_bytes, l->estimates) &&
	       (!l->gpu.known || needed <= l->free);
}

int host_admit(struct host *h, uint64_t memory_bytes, struct err *e)
{
	struct look l;
	if (!memory_bytes)
		return 0;
	look(h, &l);
	int rc = never_fits(h, &l.gpu, memory_bytes, e);
	return rc < 0 ? rc : fits_emptied(h, &l, memory_bytes, e);
}

/* Idle, and unused for the longest; only one that holds some of what is short. */
static struct server *least_recent(struct host *h)
{
	struct server *oldest = NULL;
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (server_idle(s) && (room_held(s) || s->spec.s.memory_bytes) &&
		    (!oldest || s->used_ms < oldest->used_ms))
			oldest = s;
	}
	return oldest;
}

/* As many as their estimates say, oldest first; what is really short is seen once they are gone. */
static void unload_for(struct host *h, struct look *l, uint64_t needed)
{
	struct server *s;
	uint64_t estimates = l->estimates, free = l->free;
	while (!(needed <= minus(h->limits.memory_bytes, estimates) &&
		 (!l->gpu.known || needed <= free)) &&
	       (s = least_recent(h))) {
		estimates = minus(estimates, s->spec.s.memory_bytes);
		free += l->gpu.measured ? room_held(s) : s->spec.s.memory_bytes;
		log_info(h->log, "host", NULL, "%s %s: unloaded, its memory is wanted",
			 s->spec.s.engine, s->spec.s.model);
		server_end(s, WARM_UNLOADING, NULL);
	}
}

enum room room_make(struct host *h, const struct warm_spec *spec, struct err *e)
{
	struct look l;
	uint64_t needed = spec->memory_bytes;
	look(h, &l);
	if (!needed)
		return ROOM_THERE;
	if (never_fits(h, &l.gpu, needed, e) < 0)
		return ROOM_NEVER;
	/* What ends now is waited for also when its memory isn't missed: a driver that is still
	 * giving memory back gives bad numbers. */
	if (l.dying)
		return ROOM_LATER;
	if (fits_now(h, &l, needed))
		return ROOM_THERE;
	if (fits_emptied(h, &l, needed, e) < 0)
		return l.others ? ROOM_LATER : ROOM_TAKEN;
	unload_for(h, &l, needed);
	return ROOM_LATER;
}

/* What changes while it stands idle is the doing of other programs. */
void room_measure_from_now(struct server *s)
{
	struct gpu_memory now;
	device_gpu_memory(s->host->device, &now);
	s->window_free = now.free;
}

void room_measure(struct server *s)
{
	struct gpu_memory now;
	device_gpu_memory(s->host->device, &now);
	if (!s->window_free || !now.measured)
		return;
	/* It may have given back some of what it had. */
	s->held = minus(s->held + s->window_free, now.free);
	s->window_free = now.free;
	s->measured = true;
}

bool room_returned(const struct server *s, uint64_t *free_now)
{
	struct gpu_memory now;
	device_gpu_memory(s->host->device, &now);
	*free_now = now.free;
	if (!now.measured || !room_held(s))
		return true;
	return now.free + s->host->limits.margin_bytes >= s->free_at_end + room_held(s);
}
