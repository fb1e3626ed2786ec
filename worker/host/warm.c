/* warm.c - the life of one server: started on a port of its own, asked until it is ready, ended as
 * a group, gone once its memory is back. See the diagram in host.h.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "worker/host/internal.h"

#define POLL_FIRST_MS	50
#define POLL_MAX_MS	250
#define POLL_TOTAL_MS	5000
#define POLL_CONNECT_MS 1000
#define POLL_MAX_REPLY	(1u << 20)
#define MEMORY_CHECK_MS 20
#define MEMORY_WAIT_MS	2000 /* drivers give a dead process's memory back within some 100 ms */
#define GB(bytes)	((double)(bytes) / (double)(1ull << 30))

/* ---- states ---- */

const char *warm_state_name(enum warm_state st)
{
	static const char *const names[] = {"none",	 "loading", "loaded",
					    "unloading", "failed",  "gone"};
	return names[st];
}

bool warm_can_move(enum warm_state from, enum warm_state to)
{
	static const unsigned allowed[] = {
	    [WARM_NONE] = 1u << WARM_LOADING,
	    [WARM_LOADING] = 1u << WARM_LOADED | 1u << WARM_UNLOADING | 1u << WARM_FAILED,
	    [WARM_LOADED] = 1u << WARM_UNLOADING | 1u << WARM_FAILED,
	    [WARM_UNLOADING] = 1u << WARM_GONE,
	    [WARM_FAILED] = 1u << WARM_GONE,
	    [WARM_GONE] = 0,
	};
	return allowed[from] >> to & 1u;
}

void warm_move(struct server *s, enum warm_state to)
{
	if (!warm_can_move(s->state, to)) {
		log_error(s->host->log, "host", NULL, "%s %s: impossible move from %s to %s",
			  s->spec.s.engine, s->spec.s.model, warm_state_name(s->state),
			  warm_state_name(to));
		abort();
	}
	log_debug(s->host->log, "host", NULL, "%s %s (process %d): %s -> %s", s->spec.s.engine,
		  s->spec.s.model, s->pid, warm_state_name(s->state), warm_state_name(to));
	s->state = to;
}

/* ---- its end ---- */

static void gone(struct server *s)
{
	timer_stop(&s->memory_check);
	warm_move(s, WARM_GONE);
	host_pump(s->host);
}

static void check_memory(void *arg)
{
	struct server *s = arg;
	uint64_t free_now, waited = clock_now(&s->host->loop->clock) - s->memory_since;
	bool back = room_returned(s, &free_now);
	if (!back && waited < MEMORY_WAIT_MS) {
		timer_start(&s->memory_check, &s->host->loop->clock, MEMORY_CHECK_MS, check_memory,
			    s);
		return;
	}
	if (!back)
		log_warn(s->host->log, "host", NULL,
			 "%s %s: ended, but %d s later %.1f GB of GPU memory are free; before it "
			 "was started there were %.1f GB",
			 s->spec.s.engine, s->spec.s.model, MEMORY_WAIT_MS / 1000, GB(free_now),
			 GB(s->free_before));
	else
		log_info(s->host->log, "host", NULL,
			 "%s %s: ended; %.1f GB of GPU memory are free, %llu ms after its exit",
			 s->spec.s.engine, s->spec.s.model, GB(free_now),
			 (unsigned long long)waited);
	gone(s);
}

static void sweep(struct work *w)
{
	struct server *s = container_of(w, struct server, sweep);
	const char *mark = s->orphan.mark;
	s->swept = orphan_sweep(&mark, 1, SWEEP_MS);
}

static void swept(struct work *w)
{
	struct server *s = container_of(w, struct server, sweep);
	s->sweeping = false;
	if (s->abandoned) {
		server_drop(s);
		return;
	}
	if (s->swept)
		log_warn(s->host->log, "host", NULL,
			 "%s %s: killed %d process%s it had left behind", s->spec.s.engine,
			 s->spec.s.model, s->swept, s->swept == 1 ? "" : "es");
	check_memory(s);
}

static void stop_timers(struct server *s)
{
	fetch_cancel(s->poll);
	s->poll = NULL;
	timer_stop(&s->next_poll);
	timer_stop(&s->load_deadline);
}

/* No process is left but what it left behind. */
static void finish(struct server *s)
{
	s->memory_since = clock_now(&s->host->loop->clock);
	s->sweeping = true;
	s->sweep = (struct work){.run = sweep, .after = swept};
	pool_submit(&s->host->loop->pool, &s->sweep);
}

void server_end(struct server *s, enum warm_state to, const struct err *why)
{
	struct gpu_memory m;
	if (!server_live(s))
		return;
	device_gpu_memory(s->host->device, &m);
	s->free_at_end = m.free;
	stop_timers(s);
	warm_move(s, to);
	if (why)
		s->why = *why;
	leases_lose(s, &s->why, !s->no_retry);
	if (s->child)
		child_kill(s->child);
	else
		finish(s);
}

/* "sd-cpp ended with exit code 1 before it was ready: [ERROR] …" */
static void describe_end(const struct server *s, const struct child_end *end, struct err *e)
{
	bool loading = s->state == WARM_LOADING;
	const char *when = loading ? " before it was ready" : "";
	const char *line = loading ? lines_last_words(&s->lines) : lines_error(&s->lines);
	const char *sep = line[0] ? ": " : "";
	if (end->signal)
		err_set(e, EIO, "%s was ended by signal %d (%s)%s%s%s", s->spec.s.engine,
			end->signal, strsignal(end->signal), when, sep, line);
	else
		err_set(e, EIO, "%s ended with exit code %d%s%s%s", s->spec.s.engine,
			end->exit_code, when, sep, line);
}

/* It ended, and nobody had asked for that. */
static void died(struct server *s, const struct child_end *end)
{
	struct host *h = s->host;
	bool again = s->state == WARM_LOADING && !s->second_port && port_is_taken(s->port);
	describe_end(s, end, &s->why);
	log_warn(h->log, "host", NULL, "%s %s: %s", s->spec.s.engine, s->spec.s.model, s->why.text);
	stop_timers(s);
	warm_move(s, WARM_FAILED);
	if (again && !h->closing) {
		log_info(h->log, "host", NULL, "%s: port %d was taken meanwhile, trying another",
			 s->spec.s.engine, s->port);
		struct server *next = server_start(h, &s->spec.s, true);
		if (server_live(next))
			leases_hand_over(s, next);
	}
	leases_lose(s, &s->why, true);
}

static void on_end(void *arg, const struct child_end *end)
{
	struct server *s = arg;
	s->child = NULL;
	/* Killed by the loop, which settles: the program is about to end. */
	if (end->cancelled && server_live(s)) {
		s->host->closing = true;
		err_set(&s->why, ECANCELED, "the worker is shutting down");
		stop_timers(s);
		warm_move(s, WARM_UNLOADING);
		leases_lose(s, &s->why, true);
	} else if (server_live(s)) {
		died(s, end);
	}
	finish(s);
	host_pump(s->host);
}

/* ---- its beginning ---- */

static void on_line(void *arg, int fd, const char *line)
{
	struct server *s = arg;
	/* The loop's own idea of now is exact enough, and costs nothing a line. */
	if (!lines_take(&s->lines, uv_now(&s->host->loop->uv), fd, line))
		return;
	if (s->state == WARM_LOADING && s->spec.s.loading) {
		double fraction = s->spec.s.loading(line);
		if (fraction >= 0)
			leases_loading(s, fraction > 1 ? 1 : fraction);
	}
	leases_line(s, fd, line);
}

static void poll_ready(void *arg);

static void on_answer(void *arg, const struct fetch_reply *reply)
{
	struct server *s = arg;
	s->poll = NULL;
	if (reply->status != 200) {
		timer_start(&s->next_poll, &s->host->loop->clock, s->poll_ms, poll_ready, s);
		s->poll_ms = s->poll_ms * 3 / 2 > POLL_MAX_MS ? POLL_MAX_MS : s->poll_ms * 3 / 2;
		return;
	}
	timer_stop(&s->load_deadline);
	room_measure(s);
	s->used_ms = clock_now(&s->host->loop->clock);
	warm_move(s, WARM_LOADED);
	log_info(s->host->log, "host", NULL, "%s %s: ready (process %d)", s->spec.s.engine,
		 s->spec.s.model, s->pid);
	host_pump(s->host);
}

static void poll_ready(void *arg)
{
	struct server *s = arg;
	auto_free char *url = xasprintf("%s%s", s->base_url, s->spec.s.ready_path);
	struct fetch_request r = {.url = url,
				  .bearer = &s->key,
				  .connect_ms = POLL_CONNECT_MS,
				  .total_ms = POLL_TOTAL_MS};
	s->poll = fetch_whole(s->host->net, &r, POLL_MAX_REPLY, on_answer, s);
}

static void overdue(void *arg)
{
	struct server *s = arg;
	struct err e = ERR_INIT;
	char time[32];
	const char *line = lines_error(&s->lines);
	time_format_duration(host_deadline(s->host, s->spec.s.load_ms), time);
	err_set(&e, ETIMEDOUT, "%s was not ready after %s%s%s", s->spec.s.engine, time,
		line[0] ? ": " : "", line);
	log_warn(s->host->log, "host", NULL, "%s %s: %s", s->spec.s.engine, s->spec.s.model,
		 e.text);
	server_end(s, WARM_FAILED, &e);
	host_pump(s->host);
}

struct server *server_start(struct host *h, const struct warm_spec *spec, bool second_port)
{
	static const struct child_events events = {.line = on_line, .end = on_end};
	struct gpu_memory m;
	struct err e = ERR_INIT;
	struct server *s = xcalloc(1, sizeof *s);
	s->host = h;
	s->second_port = second_port;
	spec_copy(&s->spec, spec);
	list_push_back(&h->servers, &s->node);
	device_gpu_memory(h->device, &m);
	s->free_before = s->window_free = m.free;
	s->poll_ms = POLL_FIRST_MS;
	warm_move(s, WARM_LOADING);
	if (server_launch(s, &events, &e) < 0) {
		s->no_retry = e.code == ENOENT || e.code == EACCES || e.code == ENOEXEC;
		err_wrap(&e, "%s", spec->engine);
		log_warn(h->log, "host", NULL, "%s", e.text);
		server_end(s, WARM_FAILED, &e);
		return s;
	}
	log_info(h->log, "host", NULL, "%s %s: loading (process %d, port %d)", spec->engine,
		 s->spec.s.model, s->pid, s->port);
	timer_start(&s->load_deadline, &h->loop->clock, host_deadline(h, spec->load_ms), overdue,
		    s);
	timer_start(&s->next_poll, &h->loop->clock, s->poll_ms, poll_ready, s);
	return s;
}

void server_drop(struct server *s)
{
	stop_timers(s);
	timer_stop(&s->memory_check);
	orphan_fini(&s->orphan);
	spec_fini(&s->spec);
	secret_clear(&s->key);
	lines_forget(&s->lines);
	free((void *)(uintptr_t)s->warm.dir);
	free(s->base_url);
	free(s);
}
