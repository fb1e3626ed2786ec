/* session.c - the states of the session, their moves and timers; see session.h.
 * Nothing of the session is freed or told to its owner from inside a callback: the last call comes
 * from a timer. SPDX-License-Identifier: MIT */
#include "worker/session/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/net/url.h"
#include "worker/session/advert.h"
#include "worker/session/backoff.h"
#include "worker/session/internal.h"

#define POLL_MS	   1000
#define CONNECT_MS 15000
#define IDLE_MS	   20000
#define GOOD_BYE   "session ended"

static const char *const state_names[] = {
    "waiting", "connecting", "greeting", "serving", "backing_off", "ended",
};

#define TO(s) (1u << SESSION_##s)
static const unsigned moves[] = {
    [SESSION_WAITING] = TO(CONNECTING) | TO(ENDED),
    [SESSION_CONNECTING] = TO(GREETING) | TO(BACKING_OFF) | TO(ENDED),
    [SESSION_GREETING] = TO(SERVING) | TO(BACKING_OFF) | TO(ENDED),
    [SESSION_SERVING] = TO(BACKING_OFF) | TO(ENDED),
    [SESSION_BACKING_OFF] = TO(WAITING) | TO(ENDED),
    [SESSION_ENDED] = 0,
};

/* What the owner can do about the end of a session, for `status`. */
static const char *remedy(const struct session *s)
{
	static const char *const ended[] = {
	    [SESSION_STOPPED] = NULL,
	    [SESSION_AUTH_FAILED] = "`studio-worker register --reset`, then `studio-worker run`",
	    [SESSION_FATAL] = "stop the other worker with this identity, or register again: "
			      "`studio-worker register --reset`",
	    [SESSION_EXHAUSTED] = "`studio-worker run` tries again; ws_reconnect_attempts = 0 "
				  "never gives up",
	    [SESSION_STUDIO_ERROR] = "`studio-worker run` tries again; when it keeps happening, "
				     "the studio's log tells why",
	};
	if (s->state == SESSION_ENDED)
		return ended[s->outcome];
	return "it is tried again; check api_base_url, the network and whether the studio "
	       "runs; for a certificate also this machine's clock and CA store";
}

static void publish(struct session *s, const char *detail)
{
	bool failed = s->state == SESSION_BACKING_OFF ||
		      (s->state == SESSION_ENDED && s->outcome != SESSION_STOPPED);
	struct event ev = {
	    .type = EVENT_SESSION,
	    .wall_ms = clock_wall(s->d.clock),
	    .state = state_names[s->state],
	    .detail = detail,
	    .flag = failed,
	    .remedy = failed ? remedy(s) : NULL,
	};
	events_publish(s->d.events, &ev);
}

void session_move(struct session *s, enum session_state to, const char *detail)
{
	if (!(moves[s->state] & (1u << to))) {
		log_error(s->d.log, "ws", NULL, "impossible session move from %s to %s",
			  state_names[s->state], state_names[to]);
		assert(false && "impossible move");
		return;
	}
	log_debug(s->d.log, "ws", NULL, "session %s -> %s", state_names[s->state], state_names[to]);
	s->state = to;
	publish(s, detail);
}

static void poll_credentials(void *arg);

/* ---- ending ---- */

/* Everything of the open connection goes; the socket says good-bye in the background. */
static void tear_down(struct session *s)
{
	timer_stop(&s->idle);
	timer_stop(&s->break_up);
	heartbeat_stop(s);
	shipping_stop(s);
	if (s->state == SESSION_SERVING)
		jobs_link_down(s->d.jobs);
	if (s->conn)
		conn_close(steal(&s->conn), CLOSE_NORMAL, GOOD_BYE);
}

static void last_call(void *arg)
{
	struct session *s = arg;
	if (s->d.ended)
		s->d.ended(s->d.ended_arg, s->outcome);
}

static void finish(struct session *s, enum session_outcome outcome, const char *detail)
{
	if (s->state == SESSION_ENDED)
		return;
	tear_down(s);
	s->outcome = outcome;
	session_move(s, SESSION_ENDED, detail);
	timer_start(&s->wait, s->d.clock, 0, last_call, s);
}

void session_auth_failed(struct session *s, const char *reason)
{
	log_error(s->d.log, "ws", NULL, "auth failed: %s. Re-register the worker.", reason);
	auto_free char *detail = xasprintf("auth failed: %s", reason);
	finish(s, SESSION_AUTH_FAILED, detail);
}

void session_fatal(struct session *s, enum session_outcome outcome, const char *reason)
{
	log_error(s->d.log, "ws", NULL, "fatal: %s", reason);
	finish(s, outcome, reason);
}

static void after_backoff(void *arg)
{
	struct session *s = arg;
	session_move(s, SESSION_WAITING, NULL);
	s->said_waiting = false;
	poll_credentials(s);
}

static void give_up(struct session *s, const char *detail)
{
	long long limit = s->d.config->options.ws_reconnect_attempts;
	log_error(s->d.log, "ws", NULL, "giving up after %lld reconnect attempts", limit);
	auto_free char *text = xasprintf("gave up after %lld attempts: %s", limit, detail);
	finish(s, SESSION_EXHAUSTED, text);
}

/* cause: not logged yet; detail: the same or what the log has already, for `status`. */
static void disconnect(struct session *s, const char *cause, const char *detail)
{
	int64_t limit = s->d.config->options.ws_reconnect_attempts;
	tear_down(s);
	s->failures++;
	if (backoff_exhausted(s->failures, limit)) {
		if (cause)
			log_warn(s->d.log, "ws", NULL, "session error: %s", cause);
		give_up(s, detail);
		return;
	}
	unsigned long long n = s->failures, ms = backoff_ms(s->failures);
	if (cause)
		log_warn(s->d.log, "ws", NULL,
			 "session error: %s; reconnect attempt %llu in %llums", cause, n, ms);
	else
		log_warn(s->d.log, "ws", NULL, "disconnected; reconnect attempt %llu in %llums", n,
			 ms);
	session_move(s, SESSION_BACKING_OFF, detail);
	timer_start(&s->wait, s->d.clock, ms, after_backoff, s);
}

void session_disconnect(struct session *s, const char *cause)
{
	disconnect(s, cause, cause ? cause : "the studio ended the session");
}

/* ---- the connection ---- */

static void on_break_up(void *arg)
{
	struct session *s = arg;
	disconnect(s, s->broken.text, s->broken.text);
}

int session_send(struct session *s, const char *frame, struct err *e)
{
	if (!s->conn)
		return err_set(e, ENOTCONN, "the session is over");
	int rc = conn_send(s->conn, frame, strlen(frame), &s->broken);
	if (rc < 0) {
		err_set(e, -rc, "%s", s->broken.text);
		if (!timer_running(&s->break_up))
			timer_start(&s->break_up, s->d.clock, 0, on_break_up, s);
	}
	return rc;
}

static void on_silence(void *arg)
{
	struct session *s = arg;
	log_warn(s->d.log, "ws", NULL, "no frame from the studio for %d s: the connection is dead",
		 IDLE_MS / 1000);
	disconnect(s, NULL, "no frame from the studio: the connection was dead");
}

static void watch_silence(struct session *s)
{
	timer_start(&s->idle, s->d.clock, IDLE_MS, on_silence, s);
}

static void connect_failed(struct session *s, const char *cause)
{
	log_warn(s->d.log, "ws", NULL, "connect failed: %s", cause);
	auto_free char *detail = xasprintf("connect failed: %s", cause);
	disconnect(s, NULL, detail);
}

static void on_connect_timeout(void *arg)
{
	connect_failed(arg, "the studio did not answer within 15 s");
}

static void say_hello(struct session *s)
{
	struct err e = ERR_INIT;
	struct advert_deps says = {.log = s->d.log};
	struct capabilities *c = s->d.capabilities(s->d.capabilities_arg);
	advert_log(&says, c);
	auto_free char *frame = frame_hello(&s->token, c);
	capabilities_free(c);
	(void)!session_send(s, frame, &e); /* ends the session by itself */
}

static void on_open(void *arg)
{
	struct session *s = arg;
	session_move(s, SESSION_GREETING, NULL);
	watch_silence(s); /* while greeting only `welcome` ends the wait */
	say_hello(s);
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct session *s = arg;
	if (timer_running(&s->break_up))
		return; /* nothing can be answered any more */
	frames_receive(s, text, len);
	if (s->state == SESSION_SERVING)
		watch_silence(s);
}

static void on_drained(void *arg)
{
	shipping_drained(arg);
}

static void closed_by_studio(struct session *s, const struct conn_end *end)
{
	const char *why = end->text && end->text[0] ? end->text : "no reason given";
	log_info(s->d.log, "ws", NULL, "the studio closed the session: %d %s", end->close_code,
		 why);
	auto_free char *text = xasprintf("closed with %d: %s", end->close_code, why);
	switch (end->close_code) {
	case CLOSE_AUTH_FAILED:
		session_auth_failed(s, why);
		break;
	case CLOSE_DUPLICATE_WORKER:
	case CLOSE_WORKER_DELETED:
		session_fatal(s, SESSION_FATAL, text);
		break;
	default:
		disconnect(s, NULL, text);
	}
}

static void on_end(void *arg, const struct conn_end *end)
{
	struct session *s = arg;
	const char *cause = end->text && end->text[0] ? end->text : "connection lost";
	s->conn = NULL;
	if (end->http_status == 401)
		session_auth_failed(s, "the studio refused the token (HTTP 401)");
	else if (s->state == SESSION_CONNECTING)
		connect_failed(s, cause);
	else if (end->kind == CONN_CLOSED)
		closed_by_studio(s, end);
	else if (end->kind == CONN_PROTOCOL)
		session_disconnect(s, cause);
	else {
		log_info(s->d.log, "ws", NULL, "connection lost: %s", cause);
		disconnect(s, NULL, cause);
	}
}

static const struct conn_events conn_events = {
    .open = on_open,
    .text = on_text,
    .drained = on_drained,
    .end = on_end,
};

static int prepare(struct session *s, struct err *e)
{
	const struct identity *id = s->d.identity;
	str_replace(&s->url_option, s->d.config->options.api_base_url);
	str_replace(&s->worker_id, id->worker_id);
	secret_copy(&s->token, &id->auth_token);
	free(s->base);
	s->base = url_api_base(s->url_option, e);
	return s->base ? 0 : -e->code;
}

static void open_socket(struct session *s)
{
	struct err e = ERR_INIT;
	session_move(s, SESSION_CONNECTING, NULL);
	if (prepare(s, &e) < 0) {
		connect_failed(s, e.text); /* the address may hold a password: it is not logged */
		return;
	}
	auto_free char *url = url_path(s->base, "/workers/%s/connect", s->worker_id);
	auto_free char *ws = url_to_ws(url, &e);
	if (!ws) {
		connect_failed(s, e.text);
		return;
	}
	log_info(s->d.log, "ws", NULL, "connecting to %s", s->url_option);
	struct connect_request r = {
	    .url = ws,
	    .bearer = &s->token,
	    .subprotocol = "studio-worker-v1",
	    .timeout_ms = CONNECT_MS,
	};
	timer_start(&s->idle, s->d.clock, CONNECT_MS, on_connect_timeout, s);
	s->conn = transport_connect(s->d.transport, &r, &conn_events, s);
}

void session_refresh_config(struct session *s)
{
	struct err e = ERR_INIT;
	int r = config_refresh(s->d.config, s->d.log, &e);
	if (r >= 0) {
		err_clear(&s->config_err);
		if (r > 0 && s->d.config_changed)
			s->d.config_changed(s->d.config_arg);
	} else if (strcmp(e.text, s->config_err.text) != 0) {
		log_warn(s->d.log, "ws", NULL, "%s; the options of before stay", e.text);
		s->config_err = e;
	}
}

/* Waiting: connects as soon as there are credentials. */
static void poll_credentials(void *arg)
{
	struct session *s = arg;
	session_refresh_config(s);
	if (identity_approved(s->d.identity)) {
		open_socket(s);
		return;
	}
	if (!s->said_waiting)
		log_info(s->d.log, "ws", NULL,
			 "waiting for operator approval before opening the session");
	s->said_waiting = true;
	timer_start(&s->wait, s->d.clock, POLL_MS, poll_credentials, s);
}

/* ---- life ---- */

struct session *session_new(const struct session_deps *d)
{
	struct session *s = xcalloc(1, sizeof *s);
	s->d = *d;
	return s;
}

void session_start(struct session *s)
{
	publish(s, NULL);
	poll_credentials(s);
}

void session_stop(struct session *s)
{
	finish(s, SESSION_STOPPED, "stopped"); /* nothing when it ended already */
}

void session_free(struct session *s)
{
	if (!s)
		return;
	tear_down(s);
	timer_stop(&s->wait);
	free(s->url_option);
	free(s->base);
	free(s->worker_id);
	secret_clear(&s->token);
	free(s);
}

enum session_state session_state(const struct session *s)
{
	return s->state;
}
