/* test_registration.c - every row of section 2 of docs/protocol.md, over a fake network and a fake
 * clock. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "lib/wire/registration.h"
#include "tests/fake/fake_net.h"
#include "worker/registration/registration.h"

#define POLL_MS 30000

struct fixture {
	char dir[64];
	struct clock clock;
	struct log log;
	struct rng rng;
	struct events events;
	struct observer observer;
	struct fake_net net;
	struct fake_client *client;
	struct config config;
	struct identity identity;
	struct registration *registration;
	/* the studio */
	int status;
	const char *body; /* of the answer; NULL: never answers */
	char *method, *url, *json;
	struct secret bearer;
	struct identity disk_at_request;
	/* what was published */
	char states[200];
};

static void on_request(void *arg, struct fake_request *r)
{
	struct fixture *f = arg;
	struct err e = ERR_INIT;
	str_replace(&f->method, r->method);
	str_replace(&f->url, r->url);
	str_replace(&f->json, r->json);
	secret_copy(&f->bearer, &r->bearer);
	identity_fini(&f->disk_at_request);
	assert_int_equal(identity_load(&f->disk_at_request, &f->config, &e), 0);
	if (f->body)
		fake_request_answer(r, f->status, f->body);
}

static const struct fake_server server = {.request = on_request};

static void on_event(struct observer *o, const struct event *e)
{
	struct fixture *f = container_of(o, struct fixture, observer);
	assert_int_equal(e->type, EVENT_REGISTRATION);
	strcat(f->states, e->state);
	strcat(f->states, " ");
}

static struct capabilities *capabilities(void *arg)
{
	(void)arg;
	struct capabilities *c = capabilities_new();
	str_replace(&c->machine_name, "m");
	str_replace(&c->username, "u");
	str_replace(&c->agent_version, "1");
	str_replace(&c->engine, "multi");
	return c;
}

static void boot(struct fixture *f)
{
	struct err e = ERR_INIT;
	assert_int_equal(identity_load(&f->identity, &f->config, &e), 0);
	struct registration_deps d = {
	    .clock = &f->clock,
	    .log = &f->log,
	    .rng = &f->rng,
	    .transport = &f->client->transport,
	    .events = &f->events,
	    .config = &f->config,
	    .identity = &f->identity,
	    .capabilities = capabilities,
	    .poll_ms = POLL_MS,
	};
	f->registration = registration_new(&d);
	registration_start(f->registration);
}

static void halt(struct fixture *f)
{
	registration_free(f->registration);
	f->registration = NULL;
	identity_fini(&f->identity);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct err e = ERR_INIT;
	strcpy(f->dir, "/tmp/test-registration-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	clock_init(&f->clock);
	clock_set(&f->clock, 1, 1779710400000);
	log_init(&f->log, &f->clock);
	rng_init_seeded(&f->rng, 7);
	events_init(&f->events);
	f->observer.event = on_event;
	events_subscribe(&f->events, &f->observer);
	fake_net_init(&f->net, &f->clock);
	f->net.server = &server;
	f->net.server_arg = f;
	f->client = fake_client_new(&f->net);
	auto_free char *path = fs_join(f->dir, "config.toml");
	assert_int_equal(config_load(&f->config, path, NULL, &e), 0);
	str_replace(&f->config.options.api_base_url, "http://studio.example/");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fs_fault = NULL;
	halt(f);
	identity_fini(&f->disk_at_request);
	config_fini(&f->config);
	fake_net_fini(&f->net);
	clock_fini(&f->clock);
	fs_remove_tree(f->dir, NULL);
	free(f->method);
	free(f->url);
	free(f->json);
	secret_clear(&f->bearer);
	free(f);
	return 0;
}

static void advance(struct fixture *f, uint64_t ms)
{
	clock_set(&f->clock, f->clock.mono_ms + ms, f->clock.wall_ms + (int64_t)ms);
	while (clock_run(&f->clock))
		continue;
}

static void answer(struct fixture *f, int status, const char *body)
{
	f->status = status;
	f->body = body;
}

static void assert_state(struct fixture *f, enum registration_state want)
{
	struct identity disk = {0};
	struct err e = ERR_INIT;
	assert_int_equal(registration_state(f->registration), want);
	assert_int_equal(identity_load(&disk, &f->config, &e), 0);
	assert_int_equal(registration_state_of(&disk), want);
	identity_fini(&disk);
}

static const char pending[] = "{\"status\":\"pending\"}";
static const char asked[] = "{\"requestId\":\"rr-1\",\"status\":\"pending\"}";
static const char approved[] =
    "{\"status\":\"approved\",\"workerId\":\"w-1\",\"authToken\":\"tok\"}";
static const char rejected[] = "{\"status\":\"rejected\",\"reason\":\"no room\"}";

static void ask(struct fixture *f)
{
	answer(f, 200, asked);
	boot(f);
	advance(f, 0);
	assert_state(f, REGISTRATION_PENDING);
}

/* ---- rows ---- */

static void identity_is_on_disk_before_the_request(void **state)
{
	struct fixture *f = *state;
	ask(f);
	assert_string_equal(f->method, "POST");
	assert_string_equal(f->url, "http://studio.example/graphics/api/workers/register-request");
	struct register_request *r;
	struct err e = ERR_INIT;
	assert_int_equal(register_request_decode(f->json, strlen(f->json), &r, &e), 0);
	assert_true(uuid_valid(r->install_id));
	assert_string_equal(r->install_id, f->disk_at_request.install_id);
	const char *secret = secret_reveal(&f->disk_at_request.registration_secret);
	assert_int_equal(strlen(secret), 64);
	char hash[SHA256_HEX_LEN];
	sha256_hex(secret, 64, hash);
	assert_string_equal(r->secret_hash, hash);
	assert_null(strstr(f->json, secret));
	assert_non_null(strstr(r->user_agent, "studio-worker/"));
	register_request_free(r);
}

static void polls_every_thirty_seconds_with_the_secret(void **state)
{
	struct fixture *f = *state;
	ask(f);
	answer(f, 200, pending);
	advance(f, POLL_MS - 1);
	assert_int_equal(f->client->requests, 1);
	advance(f, 1);
	assert_int_equal(f->client->requests, 2);
	assert_string_equal(f->method, "GET");
	assert_string_equal(f->url,
			    "http://studio.example/graphics/api/workers/register-requests/rr-1");
	assert_true(secret_equal(&f->bearer, &f->identity.registration_secret));
	assert_state(f, REGISTRATION_PENDING);
}

static void approval_is_kept_and_ends_the_asking(void **state)
{
	struct fixture *f = *state;
	ask(f);
	answer(f, 200, approved);
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_APPROVED);
	assert_string_equal(f->identity.worker_id, "w-1");
	assert_string_equal(secret_reveal(&f->identity.auth_token), "tok");
	assert_null(f->identity.request_id);
	assert_false(secret_is_set(&f->identity.registration_secret));
	assert_non_null(f->identity.install_id);
	advance(f, 10 * POLL_MS);
	assert_int_equal(f->client->requests, 2);
	assert_string_equal(f->states, "pristine pending approved ");
}

static void rejection_is_kept_and_ends_the_asking(void **state)
{
	struct fixture *f = *state;
	ask(f);
	answer(f, 200, rejected);
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_REJECTED);
	assert_string_equal(f->identity.rejected_reason, "no room");
	assert_null(f->identity.request_id);
	assert_false(secret_is_set(&f->identity.registration_secret));
	halt(f);
	boot(f);
	advance(f, 10 * POLL_MS);
	assert_int_equal(f->client->requests, 2);
	assert_state(f, REGISTRATION_REJECTED);
}

static void a_stale_request_starts_over_on_the_next_tick(void **state)
{
	struct fixture *f = *state;
	static const int statuses[] = {404, 401};
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		ask(f);
		auto_free char *install = xstrdup(f->identity.install_id);
		unsigned before = f->client->requests;
		answer(f, statuses[i], "{}");
		advance(f, POLL_MS);
		assert_int_equal(f->client->requests, before + 1);
		assert_state(f, REGISTRATION_PRISTINE);
		answer(f, 200, asked);
		advance(f, POLL_MS);
		assert_int_equal(f->client->requests, before + 2);
		assert_string_equal(f->method, "POST");
		assert_string_equal(f->identity.install_id, install);
		assert_state(f, REGISTRATION_PENDING);
		halt(f);
		auto_free char *path = identity_path(&f->config);
		unlink(path);
	}
}

static void other_failures_leave_everything(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int status;
		const char *body;
	} rows[] = {
	    {500, "oops"},
	    {503, ""},
	    {429, "{}"},
	    {403, "{}"},
	    {302, ""},
	    {200, "<html>"},
	    {200, "{\"status\":\"maybe\"}"},
	    {200, "{\"status\":\"approved\",\"workerId\":\"w\"}"},
	    {200, "[]"},
	};
	ask(f);
	struct secret before = {0};
	secret_copy(&before, &f->identity.registration_secret);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		answer(f, rows[i].status, rows[i].body);
		advance(f, POLL_MS);
		assert_state(f, REGISTRATION_PENDING);
		assert_string_equal(f->identity.request_id, "rr-1");
		assert_true(secret_equal(&before, &f->identity.registration_secret));
	}
	f->net.server = NULL;
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_PENDING);
	f->net.server = &server;
	answer(f, 200, approved);
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_APPROVED);
	secret_clear(&before);
}

static void a_refused_request_is_asked_again_with_the_same_identity(void **state)
{
	struct fixture *f = *state;
	answer(f, 429, "{}");
	boot(f);
	advance(f, 0);
	assert_state(f, REGISTRATION_PRISTINE);
	auto_free char *first = xstrdup(f->json);
	halt(f);
	answer(f, 200, asked);
	boot(f);
	advance(f, 0);
	assert_string_equal(f->json, first);
	assert_state(f, REGISTRATION_PENDING);
}

static void one_exchange_at_a_time(void **state)
{
	struct fixture *f = *state;
	answer(f, 200, NULL);
	boot(f);
	advance(f, 10 * POLL_MS);
	assert_int_equal(f->client->requests, 1);
}

static const char *fail_path;
static int full(const char *step, const char *path)
{
	return strcmp(step, "write") == 0 && strstr(path, fail_path) ? ENOSPC : 0;
}

static void nothing_is_asked_while_the_disk_is_full(void **state)
{
	struct fixture *f = *state;
	fail_path = "identity";
	fs_fault = full;
	answer(f, 200, asked);
	boot(f);
	advance(f, POLL_MS);
	assert_int_equal(f->client->requests, 0);
	assert_int_equal(registration_state(f->registration), REGISTRATION_PRISTINE);
	fs_fault = NULL;
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_PENDING);
}

static void a_decision_that_can_not_be_saved_is_asked_for_again(void **state)
{
	struct fixture *f = *state;
	static const char *const decisions[] = {approved, rejected};
	static const enum registration_state ends[] = {REGISTRATION_APPROVED,
						       REGISTRATION_REJECTED};
	for (size_t i = 0; i < ARRAY_LEN(decisions); i++) {
		ask(f);
		answer(f, 200, decisions[i]);
		fail_path = "identity";
		fs_fault = full;
		advance(f, POLL_MS);
		fs_fault = NULL;
		assert_state(f, REGISTRATION_PENDING);
		assert_false(identity_approved(&f->identity));
		advance(f, POLL_MS);
		assert_state(f, ends[i]);
		halt(f);
		auto_free char *path = identity_path(&f->config);
		unlink(path);
	}
}

static void a_crash_between_answer_and_save_costs_nothing(void **state)
{
	struct fixture *f = *state;
	ask(f);
	answer(f, 200, NULL); /* the studio has decided, we never hear it */
	advance(f, POLL_MS);
	halt(f);
	answer(f, 200, approved);
	boot(f);
	advance(f, 0);
	assert_state(f, REGISTRATION_APPROVED);
}

static void a_reset_by_a_command_starts_over(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	ask(f);
	answer(f, 200, rejected);
	advance(f, POLL_MS);
	auto_free char *install = xstrdup(f->identity.install_id);
	registration_reload(f->registration); /* our own write: nothing happens */
	assert_state(f, REGISTRATION_REJECTED);
	struct identity other = {0};
	assert_int_equal(identity_reset(&other, &f->config, &e), 0);
	identity_fini(&other);
	answer(f, 200, asked);
	registration_reload(f->registration);
	assert_int_equal(registration_state(f->registration), REGISTRATION_PRISTINE);
	advance(f, 0);
	assert_state(f, REGISTRATION_PENDING);
	assert_string_not_equal(f->identity.install_id, install);
}

static void a_reset_during_an_exchange_is_not_overwritten(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	ask(f);
	struct identity other = {0};
	assert_int_equal(identity_reset(&other, &f->config, &e), 0);
	identity_fini(&other);
	answer(f, 200, approved);
	advance(f, POLL_MS); /* answered before the change was noticed */
	assert_false(identity_approved(&f->identity));
	answer(f, 200, asked);
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_PENDING);
}

static void a_bad_address_is_said_and_harms_nothing(void **state)
{
	struct fixture *f = *state;
	str_replace(&f->config.options.api_base_url, "ftp://x/");
	boot(f);
	advance(f, POLL_MS);
	assert_int_equal(f->client->requests, 0);
	str_replace(&f->config.options.api_base_url, "http://studio.example/");
	answer(f, 200, asked);
	advance(f, POLL_MS);
	assert_state(f, REGISTRATION_PENDING);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(identity_is_on_disk_before_the_request),
	    T(polls_every_thirty_seconds_with_the_secret),
	    T(approval_is_kept_and_ends_the_asking),
	    T(rejection_is_kept_and_ends_the_asking),
	    T(a_stale_request_starts_over_on_the_next_tick),
	    T(other_failures_leave_everything),
	    T(a_refused_request_is_asked_again_with_the_same_identity),
	    T(one_exchange_at_a_time),
	    T(nothing_is_asked_while_the_disk_is_full),
	    T(a_decision_that_can_not_be_saved_is_asked_for_again),
	    T(a_crash_between_answer_and_save_costs_nothing),
	    T(a_reset_by_a_command_starts_over),
	    T(a_reset_during_an_exchange_is_not_overwritten),
	    T(a_bad_address_is_said_and_harms_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
