/* session.c - the life of one worker's socket: token, hello, welcome, and its end.
 * A session that ended is freed at the end of the loop turn, so that a handler may find itself
 * closed. SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "studio/hub/token.h"

#define STRANGERS_MAX 1024
#define SETTLE_MS     1000

/* ---- ends ---- */

static void names_free(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->items[i]);
	free(n->items);
}

void session_free(struct session *s)
{
	timer_stop(&s->deadline);
	timer_stop(&s->kick);
	free(s->worker_id);
	secret_clear(&s->bearer);
	free(s->token_hash);
	worker_frame_free(s->hello);
	capabilities_free(s->capabilities);
	json_decref(s->stored);
	free(s->current_job);
	for (size_t i = 0; i < PAST_MAX; i++)
		free(s->past[i].job_id);
	for (size_t i = 0; i < SHUN_MAX; i++)
		free(s->shunned[i].job_id);
	session_refusals_free(s);
	names_free(&s->keep);
	names_free(&s->drop);
	free(s);
}

static void bury(void *arg)
{
	struct hub *h = arg;
	struct list_node *n;
	while ((n = list_pop_front(&h->dead)))
		session_free(list_entry(n, struct session, node));
}

static void lose_holds(struct session *s, struct seat *seat)
{
	list_each_safe (it, &seat->holds) {
		struct hold *hold = list_entry(it, struct hold, node);
		if (hold->session == s->no)
			hold_lose(s->hub, hold);
	}
}

static void leave(struct session *s)
{
	struct hub *h = s->hub;
	struct seat *seat = hub_seat(h, s->worker_id, false);
	list_remove(s->state == SESSION_SERVING ? &h->sessions : &h->strangers, &s->node);
	s->state = SESSION_ENDED;
	HASH_DEL(h->sessions_by_no, s);
	timer_stop(&s->deadline);
	timer_stop(&s->kick);
	if (seat) {
		if (seat->session == s)
			seat->session = NULL;
		lose_holds(s, seat);
		seat_check(h, seat);
	}
	list_push_back(&h->dead, &s->node);
	timer_start(&h->bury, h->d.clock, 0, bury, h);
}

void session_close(struct session *s, int code, const char *reason)
{
	if (s->state == SESSION_ENDED)
		return;
	struct conn *conn = steal(&s->conn);
	log_info(s->hub->d.log, "hub", NULL, "closing socket of %s with %d: %s", s->worker_id, code,
		 reason);
	leave(s);
	conn_close(conn, code, reason);
}

bool session_send(struct session *s, char *text)
{
	struct err e = ERR_INIT;
	if (s->state != SESSION_ENDED && conn_send(s->conn, text, strlen(text), &e) < 0) {
		log_warn(s->hub->d.log, "hub", NULL, "cannot send to %s: %s", s->worker_id, e.text);
		session_close(s, CLOSE_INTERNAL, "cannot send");
	}
	free(text);
	return s->state != SESSION_ENDED;
}

void session_error(struct session *s, enum error_code code, int close_code, const char *message)
{
	if (session_send(s, frame_error(code, message)))
		session_close(s, close_code, message);
}

void session_violation(struct session *s, const char *fmt, ...)
{
	char text[100]; /* a close reason holds 123 bytes */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn(s->hub->d.log, "hub", NULL, "protocol violation by %s: %s", s->worker_id, text);
	session_error(s, ERROR_PROTOCOL_VIOLATION, CLOSE_PROTOCOL_VIOLATION, text);
}

static void refuse_auth(struct session *s, const char *why)
{
	log_warn(s->hub->d.log, "hub", NULL, "refusing worker %s: %s", s->worker_id, why);
	session_error(s, ERROR_AUTH_FAILED, CLOSE_AUTH_FAILED, "unknown worker or wrong token");
}

/* ---- what left the session ---- */

void session_set_past(struct session *s, const char *job_id, enum past past)
{
	struct past_job *p = NULL;
	for (size_t i = 0; i < PAST_MAX; i++) {
		if (s->past[i].job_id && strcmp(s->past[i].job_id, job_id) == 0)
			p = &s->past[i];
	}
	if (!p) {
		p = &s->past[s->next_past];
		s->next_past = (s->next_past + 1) % PAST_MAX;
		str_replace(&p->job_id, job_id);
	}
	p->past = past;
}

enum past session_past(const struct session *s, const char *job_id)
{
	for (size_t i = 0; i < PAST_MAX; i++) {
		if (s->past[i].job_id && strcmp(s->past[i].job_id, job_id) == 0)
			return s->past[i].past;
	}
	return PAST_NONE;
}

static void kick(void *arg)
{
	struct session *s = arg;
	s->settled = true;
	dispatch_session(s);
}

void session_shun(struct session *s, const char *job_id, uint64_t ms)
{
	struct shunned *sh = &s->shunned[s->next_shunned];
	s->next_shunned = (s->next_shunned + 1) % SHUN_MAX;
	str_replace(&sh->job_id, job_id);
	sh->until_ms = clock_now(s->hub->d.clock) + ms;
	if (s->settled)
		timer_start(&s->kick, s->hub->d.clock, ms, kick, s);
}

bool session_shuns(const struct session *s, const char *job_id)
{
	uint64_t now = clock_now(s->hub->d.clock);
	for (size_t i = 0; i < SHUN_MAX; i++) {
		const struct shunned *sh = &s->shunned[i];
		if (sh->job_id && sh->until_ms > now && strcmp(sh->job_id, job_id) == 0)
			return true;
	}
	return false;
}

/* ---- welcome ---- */

static void silent(void *arg)
{
	struct session *s = arg;
	if (s->state == SESSION_SERVING)
		session_close(s, CLOSE_NORMAL, "no heartbeat");
	else
		session_close(s, CLOSE_PROTOCOL_VIOLATION, "no hello");
}

void session_beat(struct session *s)
{
	s->beat_ms = clock_wall(s->hub->d.clock);
	timer_start(&s->deadline, s->hub->d.clock, s->hub->d.idle_ms, silent, s);
}

/* One socket a worker: the older one goes. */
static void take_seat(struct session *s)
{
	struct hub *h = s->hub;
	struct seat *seat = hub_seat(h, s->worker_id, false);
	if (seat && seat->session)
		session_error(seat->session, ERROR_DUPLICATE_WORKER, CLOSE_DUPLICATE_WORKER,
			      "this worker opened another socket");
	hub_seat(h, s->worker_id, true)->session = s;
}

static void serve(struct session *s)
{
	struct hub *h = s->hub;
	char now[TIME_TEXT_LEN];
	take_seat(s);
	list_remove(&h->strangers, &s->node);
	list_push_back(&h->sessions, &s->node);
	s->state = SESSION_SERVING;
	s->capabilities = steal(&s->hello->capabilities);
	worker_frame_free(steal(&s->hello));
	s->since_ms = clock_wall(h->d.clock);
	s->log_lines = LOG_BURST;
	s->log_bytes = LOG_BURST_BYTES;
	s->log_budget_ms = clock_now(h->d.clock);
	session_beat(s);
	timer_start(&s->kick, h->d.clock, SETTLE_MS, kick, s);
	time_format(s->since_ms, now);
	log_info(h->d.log, "hub", NULL, "worker %s connected", s->worker_id);
	session_store_capabilities(s);
	session_send(s, frame_welcome(s->worker_id, now, FEATURES_ALL));
}

void session_try_welcome(struct session *s)
{
	if (s->state != SESSION_GREETING || !s->hello || !s->hub->loaded)
		return;
	if (token_matches(&s->hello->auth_token, s->token_hash))
		serve(s);
	else
		refuse_auth(s, "hello with another token");
}

static void token_read(void *arg, const struct storage_reply *r)
{
	struct ask *a = arg;
	struct session *s = hub_session(a->hub, a->session);
	ask_free(a);
	if (!s)
		return;
	if (r->err->code == ENOENT) {
		refuse_auth(s, "no such worker");
	} else if (r->err->code) {
		log_error(s->hub->d.log, "hub", NULL, "cannot read worker %s: %s", s->worker_id,
			  r->err->text);
		session_close(s, CLOSE_INTERNAL, "storage failed");
	} else if (!token_matches(&s->bearer, r->workers[0].token_hash)) {
		refuse_auth(s, "wrong token");
	} else {
		s->token_hash = xstrdup(r->workers[0].token_hash);
		secret_clear(&s->bearer);
		s->state = SESSION_GREETING;
		session_try_welcome(s);
	}
}

/* ---- the socket ---- */

static void first_frame(struct session *s, struct worker_frame *f)
{
	if (f->type != WF_HELLO) {
		session_violation(s, "%s before hello", worker_frame_name(f->type));
		worker_frame_free(f);
		return;
	}
	s->hello = f;
	session_try_welcome(s);
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct session *s = arg;
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	if (s->state == SESSION_ENDED)
		return;
	if (s->state != SESSION_SERVING && (len > HUB_HELLO_MAX || s->hello)) {
		session_violation(s, s->hello ? "a frame before welcome" : "hello is too large");
	} else if (worker_frame_decode(text, len, &f, &e) < 0) {
		session_violation(s, "%s", e.text);
	} else if (s->state != SESSION_SERVING) {
		first_frame(s, f);
	} else {
		session_frame(s, f);
		worker_frame_free(f);
	}
}

static void on_end(void *arg, const struct conn_end *end)
{
	struct session *s = arg;
	s->conn = NULL;
	if (s->state == SESSION_ENDED)
		return;
	log_info(s->hub->d.log, "hub", NULL, "worker %s disconnected: %s", s->worker_id,
		 end->text ? end->text : "");
	leave(s);
}

static const struct conn_events events = {.text = on_text, .end = on_end};

void hub_connect(struct hub *h, struct conn *conn, const char *worker_id,
		 const struct secret *bearer)
{
	struct session *s = xcalloc(1, sizeof(*s));
	s->hub = h;
	s->no = ++h->next_no;
	s->conn = conn;
	s->worker_id = xstrndup(worker_id, 200);
	secret_copy(&s->bearer, bearer);
	conn->events = &events;
	conn->arg = s;
	list_push_back(&h->strangers, &s->node);
	HASH_ADD(hh, h->sessions_by_no, no, sizeof(s->no), s);
	timer_start(&s->deadline, h->d.clock, h->d.hello_ms, silent, s);
	if (h->strangers.len > STRANGERS_MAX) {
		session_close(s, CLOSE_TRY_LATER, "too many connections");
		return;
	}
	h->d.storage->ops->worker_get(h->d.storage, s->worker_id, token_read,
				      ask_new(h, s, NULL, NULL));
}
