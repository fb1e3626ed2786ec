/* host.c - the warm engines as a whole: who starts, who has to go, who is told.
 * Calls from jobs only note what is wanted; the pump does it at the end of the turn, and after
 * every event of a server. SPDX-License-Identifier: MIT */
#include "worker/host/host.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/host/internal.h"

#define IDLE_MS	     600000
#define MARGIN_BYTES (512ull << 20)
#define GOODBYE_MS   80 /* of the 250 that the end of the program may take */

/* ---- idle servers ---- */

static void idle_over(void *arg)
{
	host_pump(arg);
}

/* Unloads what was idle for too long, and waits for the next that will be. */
static void watch_idle(struct host *h)
{
	uint64_t now = clock_now(&h->loop->clock), next = UINT64_MAX;
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (!server_idle(s))
			continue;
		uint64_t idle = now - s->used_ms;
		if (idle >= h->limits.idle_ms) {
			log_info(h->log, "host", NULL, "%s %s: unloaded, idle for %llu s",
				 s->spec.s.engine, s->spec.s.model,
				 (unsigned long long)idle / 1000);
			server_end(s, WARM_UNLOADING, NULL);
		} else if (h->limits.idle_ms - idle < next) {
			next = h->limits.idle_ms - idle;
		}
	}
	if (next != UINT64_MAX)
		timer_start(&h->idle, &h->loop->clock, next, idle_over, h);
	else
		timer_stop(&h->idle);
}

/* ---- leases that wait for a server ---- */

/* A new model came under the name of the old one: what is loaded serves nobody any more. */
static void unload_outdated(struct host *h)
{
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (!server_idle(s) || !spec_outdated(&s->spec))
			continue;
		log_info(h->log, "host", NULL, "%s %s: unloaded, the files of its model changed",
			 s->spec.s.engine, s->spec.s.model);
		server_end(s, WARM_UNLOADING, NULL);
	}
}

static struct server *living(struct host *h, const struct warm_spec *spec)
{
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (server_live(s) && spec_equal(&s->spec.s, spec) && !spec_outdated(&s->spec))
			return s;
	}
	return NULL;
}

static bool dying(struct host *h, const struct warm_spec *spec)
{
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (server_dying(s) && spec_equal(&s->spec.s, spec))
			return true;
	}
	return false;
}

/* False: it has to wait, and those that came later wait with it, so that nobody starves. */
static bool place(struct host *h, struct lease *l)
{
	struct err e = ERR_INIT;
	l->server = living(h, &l->spec.s);
	if (l->server)
		return true;
	if (h->closing) {
		err_set(&e, ECANCELED, "the worker is shutting down");
		lease_lose(l, &e, true);
		return true;
	}
	if (dying(h, &l->spec.s))
		return false;
	enum room room = room_make(h, &l->spec.s, &e);
	switch (room) {
	case ROOM_THERE:
		l->server = server_start(h, &l->spec.s, false);
		if (!server_live(l->server))
			lease_lose(l, &l->server->why, !l->server->no_retry);
		return true;
	case ROOM_TAKEN:
	case ROOM_NEVER:
		err_wrap(&e, "%s", l->spec.s.engine);
		/* What others took since the job was admitted, they may give back. */
		lease_lose(l, &e, room == ROOM_TAKEN);
		return true;
	case ROOM_LATER:
		break;
	}
	return false;
}

static void place_all(struct host *h)
{
	list_each (n, &h->leases) {
		struct lease *l = list_entry(n, struct lease, node);
		if (!l->server && !l->dead && !place(h, l))
			return;
	}
}

static void bury(struct host *h)
{
	list_each_safe (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (s->state != WARM_GONE)
			continue;
		list_remove(&h->servers, &s->node);
		server_drop(s);
	}
}

/* ---- the pump ---- */

void host_pump(struct host *h)
{
	/* A callback below that ends up here again has changed something: the timer sees to it. */
	if (h->pumping) {
		host_wake(h);
		return;
	}
	h->pumping = true;
	timer_stop(&h->pump);
	bury(h);
	unload_outdated(h);
	place_all(h);
	leases_deliver(h);
	watch_idle(h);
	h->pumping = false;
}

static void pump_due(void *arg)
{
	host_pump(arg);
}

void host_wake(struct host *h)
{
	timer_start(&h->pump, &h->loop->clock, 0, pump_due, h);
}

/* ---- the room ---- */

uint64_t host_deadline(const struct host *h, uint64_t ms)
{
	double scaled = (double)ms * h->deadline_scale;
	return ms && scaled < 1 ? 1 : (uint64_t)scaled;
}

/* Every child process inherits it: an ffmpeg or sd-cli that was left behind is found by it. */
static void begin_life(struct host *h, const char *state_dir)
{
	struct err e = ERR_INIT;
	auto_free char *dir = fs_join(state_dir, "programs");
	orphans_end(dir, h->log);
	if (orphan_begin(&h->life, dir, &e) < 0)
		log_warn(h->log, "engine", NULL,
			 "what engines leave behind would not be found again: %s", e.text);
	setenv(ORPHAN_MARK, h->life.mark, 1);
}

static void end_life(struct host *h)
{
	unsetenv(ORPHAN_MARK);
	orphan_fini(&h->life);
}

struct host *host_new(const struct host_deps *d)
{
	struct host *h = xcalloc(1, sizeof *h);
	h->loop = d->loop;
	h->log = d->log;
	h->net = d->net;
	h->device = d->device;
	h->deadline_scale = d->deadline_scale > 0 ? d->deadline_scale : 1;
	h->engines_dir = fs_join(d->state_dir, "engines");
	h->limits = (struct host_limits){IDLE_MS, UINT64_MAX, MARGIN_BYTES};
	list_init(&h->servers);
	list_init(&h->leases);
	orphans_end(h->engines_dir, h->log);
	begin_life(h, d->state_dir);
	return h;
}

static void abandon(struct server *s)
{
	fetch_cancel(s->poll);
	s->poll = NULL;
	child_drop(s->child);
	s->child = NULL;
	timer_stop(&s->next_poll);
	timer_stop(&s->load_deadline);
	timer_stop(&s->memory_check);
	s->abandoned = s->sweeping;
}

/* What left the groups too: nothing outlives us. Those that are swept already free themselves. */
static void sweep_abandoned(struct host *h)
{
	size_t n = 0, most = 0;
	list_each (it, &h->servers)
		most++;
	auto_free const char **marks = xcalloc(most + 2, sizeof *marks);
	marks[n++] = h->life.mark;
	list_each (it, &h->servers) {
		const struct server *s = list_entry(it, struct server, node);
		if (!s->abandoned)
			marks[n++] = s->orphan.mark;
	}
	orphan_sweep(marks, n, GOODBYE_MS);
	list_each_safe (it, &h->servers) {
		struct server *s = list_entry(it, struct server, node);
		list_remove(&h->servers, it);
		if (!s->abandoned)
			server_drop(s);
	}
}

void host_free(struct host *h)
{
	if (!h)
		return;
	timer_stop(&h->pump);
	timer_stop(&h->idle);
	list_each_safe (n, &h->leases) {
		struct lease *l = list_entry(n, struct lease, node);
		list_remove(&h->leases, n);
		l->host = NULL;
		l->server = NULL;
	}
	list_each (n, &h->servers)
		abandon(list_entry(n, struct server, node));
	sweep_abandoned(h);
	end_life(h);
	free(h->engines_dir);
	free(h);
}

void host_configure(struct host *h, const struct host_limits *l)
{
	h->limits = *l;
	host_wake(h);
}

static bool has_file(const char *const *files, const char *path)
{
	for (; files && *files; files++)
		if (strcmp(*files, path) == 0)
			return true;
	return false;
}

bool host_uses(struct host *h, const char *path)
{
	list_each (n, &h->servers)
		if (has_file(list_entry(n, struct server, node)->spec.s.files, path))
			return true;
	list_each (n, &h->leases)
		if (has_file(list_entry(n, struct lease, node)->spec.s.files, path))
			return true;
	return false;
}

bool host_release_file(struct host *h, const char *path)
{
	bool any = false;
	list_each (n, &h->leases)
		if (has_file(list_entry(n, struct lease, node)->spec.s.files, path))
			return false;
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (!has_file(s->spec.s.files, path))
			continue;
		any = true;
		server_end(s, WARM_UNLOADING, NULL);
	}
	return any;
}

void host_unload_idle(struct host *h)
{
	list_each (n, &h->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (server_idle(s))
			server_end(s, WARM_UNLOADING, NULL);
	}
}

static json_t *server_status(struct host *h, const struct server *s)
{
	uint64_t idle = server_idle(s) ? clock_now(&h->loop->clock) - s->used_ms : 0;
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:i}", "engine", s->spec.s.engine, "model",
			 s->spec.s.model, "state", warm_state_name(s->state), "pid",
			 s->child ? s->pid : 0, "memoryBytes", (json_int_t)room_held(s),
			 "idleSeconds", (json_int_t)(idle / 1000), "jobs", (int)server_leases(s));
}

json_t *host_status(struct host *h)
{
	json_t *all = json_array();
	list_each (n, &h->servers) {
		const struct server *s = list_entry(n, struct server, node);
		if (s->state != WARM_GONE)
			json_array_append_new(all, server_status(h, s));
	}
	return all;
}
