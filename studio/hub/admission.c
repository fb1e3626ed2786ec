/* admission.c - register-requests, polls and decisions (docs/protocol.md, section 2).
 * Every step is one storage operation, so a crash leaves a state the next request continues from: a
 * token that was stored but never arrived is replaced by the next poll. SPDX-License-Identifier:
 * MIT */
#include "studio/hub/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/list.h"
#include "lib/base/mem.h"
#include "lib/wire/registration.h"
#include "studio/hub/token.h"

#define WINDOW_MS    60000
#define ADDRESSES    4096
#define ADDRESS_TEXT 64
#define TOKEN_BYTES  32

struct address {
	UT_hash_handle hh;
	char peer[ADDRESS_TEXT];
	uint64_t since_ms;
	unsigned n;
};

struct admission {
	struct admission_deps d;
	struct address *addresses; /* oldest first */
	struct list asks;
};

struct ask {
	struct list_node node;
	struct admission *a;
	admission_done *done;
	void *arg;
	struct secret bearer, token;
	char *worker_id;
};

struct admission *admission_new(const struct admission_deps *d)
{
	struct admission *a = xcalloc(1, sizeof(*a));
	a->d = *d;
	list_init(&a->asks);
	return a;
}

static void release(struct ask *k)
{
	secret_clear(&k->bearer);
	secret_clear(&k->token);
	free(k->worker_id);
	free(k);
}

static void ask_free(struct ask *k)
{
	list_remove(&k->a->asks, &k->node);
	release(k);
}

static void forget_address(struct admission *a, struct address *ad)
{
	HASH_DEL(a->addresses, ad);
	free(ad);
}

static void forget_addresses(struct admission *a)
{
	struct address *ad = a->addresses;
	HASH_CLEAR(hh, a->addresses);
	while (ad) {
		struct address *next = ad->hh.next;
		free(ad);
		ad = next;
	}
}

void admission_free(struct admission *a)
{
	if (!a)
		return;
	list_each_safe (it, &a->asks)
		release(list_entry(it, struct ask, node));
	forget_addresses(a);
	free(a);
}

static struct ask *ask_new(struct admission *a, admission_done *done, void *arg)
{
	struct ask *k = xcalloc(1, sizeof(*k));
	k->a = a;
	k->done = done;
	k->arg = arg;
	list_push_back(&a->asks, &k->node);
	return k;
}

/* ---- answers ---- */

static void answer_json(admission_done *done, void *arg, int status, json_t *body)
{
	auto_free char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	done(arg, status, text);
}

static void answer_error(admission_done *done, void *arg, int status, const char *code,
			 const char *text)
{
	answer_json(done, arg, status, json_pack("{s:s, s:s}", "error", code, "message", text));
}

static void refuse(struct ask *k, int status, const char *code, const char *text)
{
	answer_error(k->done, k->arg, status, code, text);
	ask_free(k);
}

/* True when the storage failed and the question was answered. */
static bool refused(struct ask *k, const struct err *err)
{
	if (!err->code)
		return false;
	if (err->code == ENOENT) {
		refuse(k, 404, "not_found", "there is no such register-request");
		return true;
	}
	log_error(k->a->d.log, "admission", NULL, "storage failed: %s", err->text);
	refuse(k, 503, "storage_failed", "the studio cannot use its storage, try again later");
	return true;
}

/* ---- register-request ---- */

static struct address *address_of(struct admission *a, const char *peer, uint64_t now)
{
	struct address *ad;
	char key[ADDRESS_TEXT];
	snprintf(key, sizeof(key), "%s", peer);
	HASH_FIND_STR(a->addresses, key, ad);
	if (!ad) {
		ad = xcalloc(1, sizeof(*ad));
		memcpy(ad->peer, key, sizeof(key));
		ad->since_ms = now;
		HASH_ADD_STR(a->addresses, peer, ad);
	}
	if (now - ad->since_ms >= WINDOW_MS) {
		ad->since_ms = now;
		ad->n = 0;
	}
	return ad;
}

static bool within_limit(struct admission *a, const char *peer)
{
	struct address *ad = address_of(a, peer, clock_now(a->d.clock));
	bool within = ad->n < a->d.per_minute;
	ad->n += within;
	if (HASH_COUNT(a->addresses) > ADDRESSES)
		forget_address(a, a->addresses);
	return within;
}

static void opened(void *arg, const struct storage_reply *r)
{
	struct ask *k = arg;
	if (refused(k, r->err))
		return;
	if (r->changed)
		log_info(k->a->d.log, "admission", NULL, "new register-request %s from %s",
			 r->requests[0].id, r->requests[0].peer);
	auto_free char *text = register_answer_encode(r->requests[0].id);
	k->done(k->arg, 200, text);
	ask_free(k);
}

static void open_request(struct admission *a, const char *peer, struct register_request *q,
			 struct ask *k)
{
	char hex[33];
	char id[40];
	rng_hex(a->d.rng, hex, 16);
	snprintf(id, sizeof(id), "rr-%s", hex);
	struct request_record r = {
	    .id = id,
	    .install_id = q->install_id,
	    .secret_hash = q->secret_hash,
	    .user_agent = q->user_agent,
	    .peer = (char *)(uintptr_t)peer,
	    .capabilities = q->capabilities_json,
	    .created_ms = clock_wall(a->d.clock),
	};
	a->d.storage->ops->request_open(a->d.storage, &r, opened, k);
}

void admission_request(struct admission *a, const char *peer, const char *body, size_t len,
		       admission_done *done, void *arg)
{
	struct register_request *q = NULL;
	struct err e = ERR_INIT;
	if (!within_limit(a, peer)) {
		log_warn(a->d.log, "admission", NULL, "too many register-requests from %s", peer);
		answer_error(done, arg, 429, "rate_limited",
			     "too many register-requests from this address, wait a minute");
		return;
	}
	if (register_request_decode(body, len, &q, &e) < 0) {
		answer_error(done, arg, 400, "invalid_request", e.text);
		return;
	}
	open_request(a, peer, q, ask_new(a, done, arg));
	register_request_free(q);
}

/* ---- poll ---- */

static void answer_poll(struct ask *k, const struct poll_answer *p)
{
	auto_free char *text = poll_answer_encode(p);
	k->done(k->arg, 200, text);
	ask_free(k);
}

static void token_stored(void *arg, const struct storage_reply *r)
{
	struct ask *k = arg;
	if (refused(k, r->err))
		return;
	log_info(k->a->d.log, "admission", NULL, "worker %s was given a token", k->worker_id);
	answer_poll(k, &(struct poll_answer){
			   .decision = DECISION_APPROVED,
			   .worker_id = k->worker_id,
			   .auth_token = k->token,
		       });
}

/* The token goes out only after its hash is stored; a live session of the worker is not disturbed.
 */
static void mint(struct ask *k, const char *worker_id)
{
	struct admission *a = k->a;
	char text[2 * TOKEN_BYTES + 1];
	char hash[SHA256_HEX_LEN];
	rng_hex(a->d.rng, text, TOKEN_BYTES);
	secret_set(&k->token, text);
	explicit_bzero(text, sizeof(text));
	token_hash(&k->token, hash);
	k->worker_id = xstrdup(worker_id);
	a->d.storage->ops->worker_set_token(a->d.storage, worker_id, hash, token_stored, k);
}

static void polled(void *arg, const struct storage_reply *r)
{
	struct ask *k = arg;
	if (refused(k, r->err))
		return;
	const struct request_record *q = &r->requests[0];
	if (!token_matches(&k->bearer, q->secret_hash))
		refuse(k, 401, "unauthorized",
		       "the registration secret is not the one of this request");
	else if (strcmp(q->status, "approved") == 0 && q->worker_id)
		mint(k, q->worker_id);
	else if (strcmp(q->status, "rejected") == 0)
		answer_poll(k, &(struct poll_answer){
				   .decision = DECISION_REJECTED,
				   .reason = q->reason,
			       });
	else
		answer_poll(k, &(struct poll_answer){.decision = DECISION_PENDING});
}

void admission_poll(struct admission *a, const char *request_id, const struct secret *bearer,
		    admission_done *done, void *arg)
{
	struct ask *k = ask_new(a, done, arg);
	secret_copy(&k->bearer, bearer);
	a->d.storage->ops->request_get(a->d.storage, request_id, polled, k);
}

/* ---- decision ---- */

static void decided(void *arg, const struct storage_reply *r)
{
	struct ask *k = arg;
	if (refused(k, r->err))
		return;
	const struct request_record *q = &r->requests[0];
	if (!r->changed) {
		auto_free char *text = xasprintf("this request was %s already", q->status);
		refuse(k, 409, "already_decided", text);
		return;
	}
	log_info(k->a->d.log, "admission", NULL, "request %s: %s worker=%s", q->id, q->status,
		 q->worker_id ? q->worker_id : "-");
	json_t *body = json_pack("{s:s, s:s}", "requestId", q->id, "status", q->status);
	if (q->worker_id)
		json_object_set_new(body, "workerId", json_string(q->worker_id));
	answer_json(k->done, k->arg, 200, body);
	ask_free(k);
}

void admission_decide(struct admission *a, const char *request_id, const char *reason,
		      admission_done *done, void *arg)
{
	char hex[33];
	char id[40];
	rng_hex(a->d.rng, hex, 16);
	snprintf(id, sizeof(id), "wk-%s", hex);
	a->d.storage->ops->request_decide(a->d.storage, request_id, reason == NULL, id, reason,
					  clock_wall(a->d.clock), decided, ask_new(a, done, arg));
}
