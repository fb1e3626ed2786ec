/* registration.c - see registration.h. What is in memory is always what is on disk: a change is
 * made on a copy, the copy is saved, and only then it counts. So a save that fails leaves
 * everything as it was, for the next tick. SPDX-License-Identifier: MIT */
#include "worker/registration/registration.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "lib/net/url.h"
#include "lib/wire/registration.h"

#define CATEGORY     "registration"
#define TIMEOUT_MS   20000
#define MAX_REPLY    65536
#define SECRET_BYTES 32

struct registration {
	struct registration_deps d;
	enum registration_state state;
	struct timer tick;
	struct exchange *exchange;
	bool failing; /* `status` shows why */
};

static void tick(void *arg);

/* ---- states ---- */

#define TO(s) (1u << REGISTRATION_##s)
static const unsigned moves[] = {
    [REGISTRATION_PRISTINE] = TO(PENDING),
    [REGISTRATION_PENDING] = TO(PRISTINE) | TO(APPROVED) | TO(REJECTED),
    [REGISTRATION_APPROVED] = 0,
    [REGISTRATION_REJECTED] = 0,
};

enum registration_state registration_state(const struct registration *r)
{
	return r->state;
}

static const char *detail(const struct registration *r)
{
	const struct identity *id = r->d.identity;
	switch (r->state) {
	case REGISTRATION_PENDING:
		return id->request_id;
	case REGISTRATION_APPROVED:
		return id->worker_id;
	case REGISTRATION_REJECTED:
		return id->rejected_reason;
	case REGISTRATION_PRISTINE:
		break;
	}
	return NULL;
}

static void publish(struct registration *r)
{
	r->failing = false;
	struct event e = {
	    .type = EVENT_REGISTRATION,
	    .wall_ms = clock_wall(r->d.clock),
	    .state = registration_state_name(r->state),
	    .detail = detail(r),
	};
	events_publish(r->d.events, &e);
}

/* Logged, and shown by `status` until something works again; the state stays. */
static PRINTF_LIKE(2, 3) void failed(struct registration *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	log_warn(r->d.log, CATEGORY, NULL, "%s", text);
	r->failing = true;
	struct event e = {
	    .type = EVENT_REGISTRATION,
	    .wall_ms = clock_wall(r->d.clock),
	    .state = registration_state_name(r->state),
	    .detail = text,
	    .flag = true,
	    .remedy = "it is tried again; check api_base_url, the network and whether the studio "
		      "runs; for a certificate also this machine's clock and CA store",
	};
	events_publish(r->d.events, &e);
}

static void log_state(struct registration *r)
{
	switch (r->state) {
	case REGISTRATION_PRISTINE:
		log_info(r->d.log, CATEGORY, NULL, "this worker is not registered yet");
		break;
	case REGISTRATION_PENDING:
		log_info(r->d.log, CATEGORY, NULL,
			 "request %s waits for approval by the studio's operator", detail(r));
		break;
	case REGISTRATION_APPROVED:
		log_info(r->d.log, CATEGORY, NULL, "approved as worker %s", detail(r));
		break;
	case REGISTRATION_REJECTED:
		log_warn(r->d.log, CATEGORY, NULL,
			 "rejected by the studio: %s; `studio-worker register --reset` asks again",
			 detail(r));
		break;
	}
}

/* The owner may put anything into the file, an answer may only do what the diagram shows. */
static void move(struct registration *r, enum registration_state to, bool by_file)
{
	if (to != r->state && !by_file && !(moves[r->state] & (1u << to))) {
		log_error(r->d.log, CATEGORY, NULL, "no move from %s to %s",
			  registration_state_name(r->state), registration_state_name(to));
		return;
	}
	r->state = to;
	log_state(r);
	publish(r);
}

/* ---- the identity, memory and disk together ---- */

static void adopt(struct registration *r, struct identity *next)
{
	identity_fini(r->d.identity);
	*r->d.identity = *next;
	*next = (struct identity){0};
}

/* True when another program changed the file since we read or wrote it. */
static bool changed_on_disk(struct registration *r)
{
	struct identity disk = {0};
	struct err e = ERR_INIT;
	if (identity_load(&disk, r->d.config, &e) < 0)
		return false; /* saving over a broken file mends it */
	bool changed = !identity_same(&disk, r->d.identity);
	identity_fini(&disk);
	return changed;
}

/* Saves `next` and makes it ours; false (and logged) leaves everything as it was. Frees next. */
static bool commit(struct registration *r, struct identity *next)
{
	struct err e = ERR_INIT;
	bool ok = false;
	if (changed_on_disk(r))
		registration_reload(r);
	else if (identity_save(next, r->d.config, &e) < 0)
		failed(r, "cannot save the identity, trying again: %s", e.text);
	else
		ok = true;
	if (ok)
		adopt(r, next);
	identity_fini(next);
	return ok;
}

/* ---- exchanges ---- */

static void again(struct registration *r)
{
	if (timer_running(&r->tick))
		return; /* a reload has already started over */
	if (r->state == REGISTRATION_PRISTINE || r->state == REGISTRATION_PENDING)
		timer_start(&r->tick, r->d.clock, r->d.poll_ms, tick, r);
}

static void drop_request(struct registration *r, const char *why)
{
	struct identity next = {0};
	log_warn(r->d.log, CATEGORY, NULL, "%s; asking anew", why);
	identity_copy(&next, r->d.identity);
	str_replace(&next.request_id, NULL);
	secret_clear(&next.registration_secret);
	if (commit(r, &next))
		move(r, REGISTRATION_PRISTINE, false);
}

static void approve(struct registration *r, const struct poll_answer *a)
{
	struct identity next = {0};
	identity_copy(&next, r->d.identity);
	str_replace(&next.worker_id, a->worker_id);
	secret_copy(&next.auth_token, &a->auth_token);
	str_replace(&next.request_id, NULL);
	secret_clear(&next.registration_secret);
	if (commit(r, &next))
		move(r, REGISTRATION_APPROVED, false);
}

static void reject(struct registration *r, const struct poll_answer *a)
{
	struct identity next = {0};
	identity_copy(&next, r->d.identity);
	const char *reason = a->reason && a->reason[0] ? a->reason : "no reason given";
	str_replace(&next.rejected_reason, reason);
	str_replace(&next.request_id, NULL);
	secret_clear(&next.registration_secret);
	if (commit(r, &next))
		move(r, REGISTRATION_REJECTED, false);
}

static void take_answer(struct registration *r, const struct http_reply *reply)
{
	struct poll_answer a = {0};
	struct err e = ERR_INIT;
	if (poll_answer_decode(reply->body, reply->len, &a, &e) < 0) {
		failed(r, "the studio's answer makes no sense: %s", e.text);
		return;
	}
	if (r->failing)
		publish(r); /* not any more */
	if (a.decision == DECISION_APPROVED)
		approve(r, &a);
	else if (a.decision == DECISION_REJECTED)
		reject(r, &a);
	poll_answer_fini(&a);
}

static bool answered(struct registration *r, const struct http_reply *reply, const char *what)
{
	if (reply->status >= 200 && reply->status < 300)
		return true;
	if (reply->status == 0)
		failed(r, "%s failed: %s", what, reply->err.text);
	else
		failed(r, "%s failed: the studio answered %d", what, reply->status);
	return false;
}

static void poll_done(void *arg, const struct http_reply *reply)
{
	struct registration *r = arg;
	r->exchange = NULL;
	if (reply->status == 404 || reply->status == 401)
		drop_request(r, "the studio does not know our request any more");
	else if (answered(r, reply, "asking for the decision"))
		take_answer(r, reply);
	again(r);
}

static void take_request_id(struct registration *r, const struct http_reply *reply)
{
	struct identity next = {0};
	struct err e = ERR_INIT;
	char *request_id = NULL;
	if (register_answer_decode(reply->body, reply->len, &request_id, &e) < 0) {
		failed(r, "the studio's answer makes no sense: %s", e.text);
		return;
	}
	identity_copy(&next, r->d.identity);
	free(next.request_id);
	next.request_id = request_id;
	if (commit(r, &next))
		move(r, REGISTRATION_PENDING, false);
}

static void request_done(void *arg, const struct http_reply *reply)
{
	struct registration *r = arg;
	r->exchange = NULL;
	if (answered(r, reply, "asking to be let in"))
		take_request_id(r, reply);
	again(r);
}

/* NULL with the cause logged when the address in the config is none. */
static char *api_base(struct registration *r)
{
	struct err e = ERR_INIT;
	char *base = url_api_base(r->d.config->options.api_base_url, &e);
	if (!base)
		failed(r, "api_base_url: %s", e.text);
	return base;
}

/* The secret must be on disk before the studio sees its hash, or a crash here would lose the
 * request for good. */
static bool ensure_secret(struct registration *r)
{
	struct identity next = {0};
	const struct identity *id = r->d.identity;
	if (id->install_id && secret_is_set(&id->registration_secret))
		return true;
	identity_copy(&next, id);
	if (!next.install_id) {
		next.install_id = xcalloc(1, 37);
		rng_uuid(r->d.rng, next.install_id);
	}
	if (!secret_is_set(&next.registration_secret)) {
		char hex[2 * SECRET_BYTES + 1];
		rng_hex(r->d.rng, hex, SECRET_BYTES);
		secret_set(&next.registration_secret, hex);
		explicit_bzero(hex, sizeof hex);
	}
	return commit(r, &next);
}

static char *request_body(struct registration *r)
{
	char hash[SHA256_HEX_LEN];
	const struct identity *id = r->d.identity;
	const char *secret = secret_reveal(&id->registration_secret);
	sha256_hex(secret, strlen(secret), hash);
	struct capabilities *c = r->d.capabilities(r->d.capabilities_arg);
	char *body =
	    register_request_encode(id->install_id, hash, c, "studio-worker/" PROGRAM_VERSION);
	capabilities_free(c);
	return body;
}

static void send_request(struct registration *r, const char *base)
{
	auto_free char *url = url_path(base, "/workers/register-request");
	auto_free char *body = request_body(r);
	struct http_request q = {
	    .method = "POST",
	    .url = url,
	    .json = body,
	    .timeout_ms = TIMEOUT_MS,
	    .max_reply = MAX_REPLY,
	};
	log_info(r->d.log, CATEGORY, NULL, "asking %s to be let in",
		 r->d.config->options.api_base_url);
	r->exchange = transport_request(r->d.transport, &q, request_done, r);
}

static void send_poll(struct registration *r, const char *base)
{
	auto_free char *url =
	    url_path(base, "/workers/register-requests/%s", r->d.identity->request_id);
	struct http_request q = {
	    .method = "GET",
	    .url = url,
	    .bearer = &r->d.identity->registration_secret,
	    .timeout_ms = TIMEOUT_MS,
	    .max_reply = MAX_REPLY,
	};
	r->exchange = transport_request(r->d.transport, &q, poll_done, r);
}

/* One exchange at most, or none and the next tick in poll_ms. */
static void tick(void *arg)
{
	struct registration *r = arg;
	if (r->exchange)
		return;
	auto_free char *base = api_base(r);
	if (base && r->state == REGISTRATION_PRISTINE && ensure_secret(r))
		send_request(r, base);
	else if (base && r->state == REGISTRATION_PENDING &&
		 secret_is_set(&r->d.identity->registration_secret))
		send_poll(r, base);
	else if (base && r->state == REGISTRATION_PENDING)
		drop_request(r, "the secret of our request is gone");
	if (!r->exchange)
		again(r);
}

/* ---- life ---- */

struct registration *registration_new(const struct registration_deps *d)
{
	struct registration *r = xcalloc(1, sizeof *r);
	r->d = *d;
	r->state = registration_state_of(d->identity);
	return r;
}

void registration_start(struct registration *r)
{
	log_state(r);
	publish(r);
	if (r->state == REGISTRATION_PRISTINE || r->state == REGISTRATION_PENDING)
		timer_start(&r->tick, r->d.clock, 0, tick, r);
}

void registration_reload(struct registration *r)
{
	struct identity disk = {0};
	struct err e = ERR_INIT;
	if (identity_load(&disk, r->d.config, &e) < 0) {
		log_error(r->d.log, CATEGORY, NULL, "keeping the identity in memory: %s", e.text);
		return;
	}
	if (identity_same(&disk, r->d.identity)) {
		identity_fini(&disk);
		return;
	}
	log_info(r->d.log, CATEGORY, NULL, "the identity was changed by another program");
	if (r->exchange)
		transport_cancel(r->d.transport, steal(&r->exchange));
	adopt(r, &disk);
	move(r, registration_state_of(r->d.identity), true);
	timer_stop(&r->tick);
	if (r->state == REGISTRATION_PRISTINE || r->state == REGISTRATION_PENDING)
		timer_start(&r->tick, r->d.clock, 0, tick, r);
}

void registration_free(struct registration *r)
{
	if (!r)
		return;
	timer_stop(&r->tick);
	if (r->exchange)
		transport_cancel(r->d.transport, r->exchange);
	free(r);
}
