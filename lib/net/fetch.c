/* fetch.c - see fetch.h: the life of a fetch, its events and its clock. The hops are in
 * fetch_hop.c. SPDX-License-Identifier: MIT */
#include "lib/net/fetch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/fetch_internal.h"

/* How often progress is looked at: often enough for a limit that is small. */
#define WATCH_MAX_MS 1000u
#define WATCH_MIN_MS 5u
/* A peer that sends without end must not keep the loop for itself: after so much the others have a
 * turn. */
#define TURN_BYTES (512u << 10)

static void fetch_free(struct fetch *f)
{
	timer_stop(&f->turn);
	timer_stop(&f->watch);
	hop_close(f);
	list_remove(&f->t.net->fetches, &f->t.node);
	if (f->release)
		f->release(f->arg);
	fetch_copy_fini(&f->req);
	origin_fini(&f->first);
	origin_fini(&f->here);
	free(f->url);
	free(f);
}

void fetch_free_all(struct net *n)
{
	list_each_safe (it, &n->fetches)
		fetch_free(container_of(list_entry(it, struct transfer, node), struct fetch, t));
}

/* Not from inside a callback of curl's. */
static void finish(struct fetch *f, enum fetch_fault fault, const struct err *e)
{
	struct fetch_end end = {.fault = fault, .status = f->head.f.status};
	if (e)
		end.err = *e;
	timer_stop(&f->watch);
	bool heard = !f->doomed;
	f->doomed = true; /* a cancel from inside ->end finds nothing left to do */
	if (heard)
		f->ev.end(f->arg, &end);
	fetch_free(f);
}

static void finish_err(struct fetch *f, enum fetch_fault fault, int code, const char *what)
{
	struct err e = ERR_INIT;
	err_set(&e, code, "%s://%.200s:%u: %s", f->here.https ? "https" : "http",
		f->here.host ? f->here.host : "?", f->here.port, what);
	finish(f, fault, &e);
}

/* ---- what curl calls ---- */

static bool say_head(struct fetch *f)
{
	f->headed = true;
	if (!f->ev.head)
		return true;
	f->head.f.url = f->url;
	return f->ev.head(f->arg, &f->head.f) && !f->doomed;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t len = size * n;
	if (f->doomed)
		return 0;
	int rc = head_line(&f->head, line, len, &f->err);
	if (rc < 0) {
		f->fault = FETCH_NETWORK;
		return 0;
	}
	if (!rc || f->headed)
		return len;
	f->leaving = hop_leaves(f);
	if (f->leaving || say_head(f))
		return len;
	f->fault = FETCH_STOPPED;
	return 0;
}

static void next_turn(struct fetch *f);

static size_t yield(struct fetch *f)
{
	f->paused = f->resume = true;
	next_turn(f);
	return CURL_WRITEFUNC_PAUSE;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t len = size * n;
	if (f->doomed || f->leaving)
		return 0; /* nobody wants it */
	if (f->turn_bytes >= TURN_BYTES)
		return yield(f);
	f->turn_bytes += len;
	enum fetch_verdict v = f->ev.data ? f->ev.data(f->arg, data, len) : FETCH_GO;
	if (f->doomed)
		return 0;
	if (v == FETCH_STOP) {
		f->fault = FETCH_STOPPED;
		return 0;
	}
	f->paused = v == FETCH_PAUSE;
	return f->paused ? CURL_WRITEFUNC_PAUSE : len;
}

static int errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return ETIMEDOUT;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return ECONNRESET;
	default:
		return EIO;
	}
}

static void run_hop(struct fetch *f);

static void follow(struct fetch *f)
{
	struct err e = ERR_INIT;
	f->leaving = false;
	f->running = false;
	int rc = hop_next(f, &e);
	if (rc) {
		err_wrap(&e, "redirected by %s://%.200s", f->first.https ? "https" : "http",
			 f->first.host);
		finish(f, rc == -ELOOP ? FETCH_NETWORK : FETCH_REFUSED, &e);
	} else {
		run_hop(f);
	}
}

static void on_done(struct transfer *t, CURLcode code)
{
	struct fetch *f = container_of(t, struct fetch, t);
	if (f->doomed)
		fetch_free(f);
	else if (f->leaving)
		follow(f);
	else if (f->fault == FETCH_STOPPED)
		finish_err(f, FETCH_STOPPED, ECANCELED, "stopped");
	else if (f->fault)
		finish(f, f->fault, &f->err);
	else if (code)
		finish_err(f, FETCH_NETWORK, errno_of(code), transfer_error(t, code));
	else if (f->headed)
		finish(f, FETCH_OK, NULL);
	else
		finish_err(f, FETCH_NETWORK, EPROTO, "the server's answer has no head");
}

/* ---- the clock ---- */

static curl_off_t bytes_moved(struct fetch *f)
{
	curl_off_t up = 0, down = 0;
	long head = 0;
	if (!f->running)
		return f->moved;
	curl_easy_getinfo(f->t.easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(f->t.easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	curl_easy_getinfo(f->t.easy, CURLINFO_HEADER_SIZE, &head);
	return up + down + head;
}

static void arm_watch(struct fetch *f);

static void on_watch(void *arg)
{
	struct fetch *f = arg;
	uint64_t now = clock_now(&f->t.net->loop->clock);
	curl_off_t moved = bytes_moved(f);
	if (moved != f->moved || f->paused) {
		f->moved = moved;
		f->moved_ms = now;
	}
	if (f->doomed)
		return;
	if (f->req.total_ms && now - f->started_ms >= f->req.total_ms)
		finish_err(f, FETCH_STALLED, ETIMEDOUT, "took too long");
	else if (f->req.stall_ms && now - f->moved_ms >= f->req.stall_ms)
		finish_err(f, FETCH_STALLED, ETIMEDOUT, "no byte came in time");
	else
		arm_watch(f);
}

static void arm_watch(struct fetch *f)
{
	uint64_t now = clock_now(&f->t.net->loop->clock), ms = WATCH_MAX_MS;
	if (f->req.stall_ms && f->req.stall_ms / 8 < ms)
		ms = f->req.stall_ms / 8;
	if (f->req.total_ms && f->started_ms + f->req.total_ms - now < ms)
		ms = f->started_ms + f->req.total_ms - now;
	if (f->req.stall_ms || f->req.total_ms)
		timer_start(&f->watch, &f->t.net->loop->clock,
			    ms < WATCH_MIN_MS ? WATCH_MIN_MS : ms, on_watch, f);
}

/* ---- turns ---- */

static void run_hop(struct fetch *f)
{
	CURL *easy = f->t.easy;
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
	f->fault = FETCH_OK;
	f->running = true;
	transfer_start(&f->t);
}

static void begin(struct fetch *f)
{
	struct err e = ERR_INIT;
	f->started_ms = f->moved_ms = clock_now(&f->t.net->loop->clock);
	if (hop_open(f, &e)) {
		finish(f, FETCH_REFUSED, &e);
		return;
	}
	arm_watch(f);
	run_hop(f);
}

/* Data that curl kept is handed out from inside curl_easy_pause(). */
static void unpause(struct fetch *f)
{
	f->paused = false;
	f->turn_bytes = 0;
	f->moved_ms = clock_now(&f->t.net->loop->clock);
	CURLcode code = curl_easy_pause(f->t.easy, CURLPAUSE_CONT);
	if (f->doomed)
		fetch_free(f);
	else if (f->fault == FETCH_STOPPED)
		finish_err(f, FETCH_STOPPED, ECANCELED, "stopped");
	else if (code)
		finish_err(f, FETCH_NETWORK, EIO, curl_easy_strerror(code));
}

static void on_turn(void *arg)
{
	struct fetch *f = arg;
	bool resume = f->resume;
	f->resume = false;
	if (f->doomed)
		fetch_free(f);
	else if (!f->running)
		begin(f);
	else if (resume && f->paused)
		unpause(f);
}

static void next_turn(struct fetch *f)
{
	timer_start(&f->turn, &f->t.net->loop->clock, 0, on_turn, f);
}

struct fetch *fetch_start(struct transport *t, const struct fetch_request *r,
			  const struct fetch_events *ev, void *arg)
{
	struct fetch *f = xcalloc(1, sizeof *f);
	f->t.net = container_of(t, struct net, base);
	f->t.done = on_done;
	f->ev = *ev;
	f->arg = arg;
	f->url = xstrdup(r->url);
	fetch_copy_init(&f->req, r);
	list_push_back(&f->t.net->fetches, &f->t.node);
	next_turn(f);
	return f;
}

void fetch_resume(struct fetch *f)
{
	if (f->doomed)
		return;
	f->resume = true;
	next_turn(f);
}

void fetch_cancel(struct fetch *f)
{
	if (!f || f->doomed)
		return;
	f->doomed = true;
	next_turn(f);
}
