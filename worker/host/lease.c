/* lease.c - what jobs hold of servers. Nothing here calls a job back but leases_deliver(), the
 * lines and the loading, all from events of the loop; any of their callbacks may end any lease, so
 * every walk starts anew after one. SPDX-License-Identifier: MIT */
#include <errno.h>

#include "lib/base/mem.h"
#include "worker/host/internal.h"

struct lease *host_lease(struct host *h, const struct warm_spec *spec,
			 const struct lease_events *ev, void *arg)
{
	struct lease *l = xcalloc(1, sizeof *l);
	l->host = h;
	l->ev = *ev;
	l->arg = arg;
	spec_copy(&l->spec, spec);
	list_push_back(&h->leases, &l->node);
	host_wake(h);
	return l;
}

static void lease_free(struct lease *l)
{
	if (l->host)
		list_remove(&l->host->leases, &l->node);
	spec_fini(&l->spec);
	free(l);
}

/* What its end means for the server. */
static void leave(struct lease *l, enum lease_verdict v)
{
	struct server *s = l->server;
	struct err why = ERR_INIT;
	l->server = NULL;
	if (!s || !server_live(s))
		return;
	s->used_ms = clock_now(&s->host->loop->clock);
	if (l->ready) {
		s->served++;
		room_measure(s);
	}
	if (v == LEASE_BROKEN && l->ready) {
		err_set(&why, EIO, "%s was killed, as another job on it could not be ended",
			s->spec.s.engine);
		server_end(s, WARM_FAILED, &why);
	} else if (s->state == WARM_LOADING && server_leases(s) == 0) {
		server_end(s, WARM_UNLOADING, NULL);
	}
}

void lease_end(struct lease *l, enum lease_verdict v)
{
	if (!l)
		return;
	struct host *h = l->host;
	leave(l, v);
	lease_free(l);
	if (h)
		host_wake(h);
}

int lease_pid(const struct lease *l)
{
	return l->server && l->server->child ? l->server->pid : 0;
}

const char *lease_error_line(const struct lease *l)
{
	return l->server ? lines_error(&l->server->lines) : "";
}

unsigned server_leases(const struct server *s)
{
	unsigned n = 0;
	list_each (it, &s->host->leases)
		n += list_entry(it, struct lease, node)->server == s;
	return n;
}

bool server_idle(const struct server *s)
{
	return s->state == WARM_LOADED && server_leases(s) == 0;
}

unsigned server_ready_leases(const struct server *s)
{
	unsigned n = 0;
	list_each (it, &s->host->leases) {
		const struct lease *l = list_entry(it, struct lease, node);
		n += l->server == s && l->ready;
	}
	return n;
}

void lease_lose(struct lease *l, const struct err *why, bool retryable)
{
	l->dead = true;
	l->why = *why;
	l->retryable = retryable;
	l->server = NULL;
}

void leases_lose(struct server *s, const struct err *why, bool retryable)
{
	list_each (it, &s->host->leases) {
		struct lease *l = list_entry(it, struct lease, node);
		if (l->server == s)
			lease_lose(l, why, retryable);
	}
	host_wake(s->host);
}

void leases_hand_over(struct server *from, struct server *to)
{
	list_each (it, &from->host->leases) {
		struct lease *l = list_entry(it, struct lease, node);
		if (l->server == from)
			l->server = to;
	}
}

/* The next one that something is to be told. */
static struct lease *with_news(struct host *h)
{
	list_each (it, &h->leases) {
		struct lease *l = list_entry(it, struct lease, node);
		/* A lease is freed off the list; the analyzer thinks of one without a host. */
		if (l->dead || !l->told_waiting) /* NOLINT(clang-analyzer-unix.Malloc) */
			return l;
		if (l->server && !l->ready && l->server->state == WARM_LOADED &&
		    server_ready_leases(l->server) < l->server->spec.s.lanes)
			return l;
	}
	return NULL;
}

static void tell_dead(struct lease *l)
{
	struct lease_events ev = l->ev;
	void *arg = l->arg;
	struct err why = l->why;
	bool retryable = l->retryable;
	lease_free(l);
	if (ev.died)
		ev.died(arg, &why, retryable);
}

static void tell_ready(struct lease *l)
{
	struct server *s = l->server;
	struct warm w = s->warm;
	/* What it said of earlier jobs isn't this one's error. */
	if (server_ready_leases(s) == 0) {
		if (s->served)
			lines_forget(&s->lines);
		room_measure_from_now(s);
	}
	l->ready = true;
	s->warm.fresh = false;
	l->ev.ready(l->arg, &w);
}

void leases_deliver(struct host *h)
{
	struct lease *l;
	while ((l = with_news(h))) {
		if (l->dead) {
			tell_dead(l);
		} else if (!l->told_waiting) {
			l->told_waiting = true;
			if (l->ev.loading && !(l->server && l->server->state == WARM_LOADED))
				l->ev.loading(l->arg, -1);
		} else {
			tell_ready(l);
		}
	}
}

void leases_loading(struct server *s, double fraction)
{
	struct host *h = s->host;
	uint64_t seq = ++h->line_seq;
	for (struct list_node *it = h->leases.head.next; it != &h->leases.head;) {
		struct lease *l = list_entry(it, struct lease, node);
		it = it->next;
		if (l->server != s || l->loading_seq == seq || !l->ev.loading)
			continue;
		l->loading_seq = seq;
		l->ev.loading(l->arg, fraction);
		it = h->leases.head.next;
	}
}

/* Those at work; while it loads, all that wait for it. */
void leases_line(struct server *s, int fd, const char *line)
{
	struct host *h = s->host;
	uint64_t seq = ++h->line_seq;
	for (struct list_node *it = h->leases.head.next; it != &h->leases.head;) {
		struct lease *l = list_entry(it, struct lease, node);
		it = it->next;
		if (l->server != s || l->line_seq == seq || !l->ev.line ||
		    !(l->ready || s->state == WARM_LOADING))
			continue;
		l->line_seq = seq;
		l->ev.line(l->arg, fd, line);
		it = h->leases.head.next;
	}
}
