/* test_kill.c - the worker dies at any step that changes the disk, again and again, while it
 * registers. Whatever the moment: identity.json is whole, the studio never knows a secret that the
 * disk does not, the install id never changes, and in the end the worker holds a token the studio
 * made. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "lib/wire/registration.h"
#include "tests/fake/fake_net.h"
#include "worker/registration/registration.h"

#define SEEDS	60
#define KILLED	99
#define POLL_MS 30000
#define LIVES	40 /* a worker that is not approved after so many lives never will be */

/* The studio outlives every worker process: it lives in shared memory. */
struct studio {
	char install_id[40], hash[SHA256_HEX_LEN];
	unsigned polls, approve_after, tokens;
	bool forgets; /* loses the request once: the worker must ask anew */
};

struct life {
	struct clock clock;
	struct log log;
	struct rng rng;
	struct events events;
	struct fake_net net;
	struct fake_client *client;
	struct config config;
	struct identity identity;
	struct registration *registration;
};

static struct studio *studio;
static unsigned steps_left;

static int die(const char *step, const char *path)
{
	(void)step, (void)path;
	if (--steps_left == 0)
		_exit(KILLED);
	return 0;
}

static void on_register(struct fake_request *r)
{
	struct register_request *q;
	struct err e = ERR_INIT;
	if (register_request_decode(r->json, strlen(r->json), &q, &e) < 0)
		_exit(1);
	if (studio->install_id[0] && strcmp(studio->install_id, q->install_id) != 0)
		_exit(2); /* the install id must survive every death */
	snprintf(studio->install_id, sizeof studio->install_id, "%s", q->install_id);
	snprintf(studio->hash, sizeof studio->hash, "%s", q->secret_hash);
	register_request_free(q);
	fake_request_answer(r, 200, "{\"requestId\":\"rr-1\",\"status\":\"pending\"}");
}

static void on_poll(struct fake_request *r)
{
	char hash[SHA256_HEX_LEN];
	const char *secret = secret_reveal(&r->bearer);
	sha256_hex(secret, strlen(secret), hash);
	studio->polls++;
	if (studio->forgets && studio->polls == 1)
		studio->hash[0] = '\0';
	if (strcmp(hash, studio->hash) != 0) {
		fake_request_answer(r, 404, "{}");
	} else if (studio->polls < studio->approve_after) {
		fake_request_answer(r, 200, "{\"status\":\"pending\"}");
	} else {
		auto_free char *body = xasprintf(
		    "{\"status\":\"approved\",\"workerId\":\"w-1\",\"authToken\":\"token-%u\"}",
		    ++studio->tokens);
		fake_request_answer(r, 200, body);
	}
}

static void on_request(void *arg, struct fake_request *r)
{
	(void)arg;
	if (strcmp(r->method, "POST") == 0)
		on_register(r);
	else
		on_poll(r);
}

static const struct fake_server server = {.request = on_request};

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

static void load(struct life *l, const char *dir)
{
	struct err e = ERR_INIT;
	auto_free char *path = fs_join(dir, "config.toml");
	if (config_load(&l->config, path, NULL, &e) < 0 ||
	    identity_load(&l->identity, &l->config, &e) < 0)
		_exit(3);
	str_replace(&l->config.options.api_base_url, "http://studio.example/");
}

/* What must hold whenever a process starts. */
static void check_disk(const struct identity *id)
{
	char hash[SHA256_HEX_LEN];
	const char *secret = secret_reveal(&id->registration_secret);
	sha256_hex(secret, strlen(secret), hash);
	if (studio->install_id[0] &&
	    (!id->install_id || strcmp(id->install_id, studio->install_id) != 0))
		_exit(4);
	if (studio->hash[0] && !studio->forgets && !identity_approved(id) &&
	    strcmp(hash, studio->hash) != 0)
		_exit(5);
	if (id->request_id && !secret_is_set(&id->registration_secret))
		_exit(6);
}

static void live(const char *dir, unsigned seed)
{
	struct life l = {0};
	clock_init(&l.clock);
	clock_set(&l.clock, 1, 1779710400000);
	log_init(&l.log, &l.clock);
	rng_init_seeded(&l.rng, seed);
	events_init(&l.events);
	fake_net_init(&l.net, &l.clock);
	l.net.server = &server;
	l.client = fake_client_new(&l.net);
	load(&l, dir);
	check_disk(&l.identity);
	struct registration_deps d = {
	    .clock = &l.clock,
	    .log = &l.log,
	    .rng = &l.rng,
	    .transport = &l.client->transport,
	    .events = &l.events,
	    .config = &l.config,
	    .identity = &l.identity,
	    .capabilities = capabilities,
	    .poll_ms = POLL_MS,
	};
	l.registration = registration_new(&d);
	fs_fault = die;
	registration_start(l.registration);
	for (int i = 0; i < 50 && !identity_approved(&l.identity); i++) {
		clock_set(&l.clock, l.clock.mono_ms + POLL_MS, l.clock.wall_ms + POLL_MS);
		while (clock_run(&l.clock))
			continue;
	}
	_exit(identity_approved(&l.identity) ? 0 : 7);
}

/* Forks a worker that dies at its `step`-th change of the disk; its exit code. */
static int one_life(const char *dir, unsigned seed, unsigned step)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		steps_left = step;
		live(dir, seed);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void check_end(const char *dir)
{
	struct life l = {0};
	load(&l, dir);
	auto_free char *token = xasprintf("token-%u", studio->tokens);
	assert_true(identity_approved(&l.identity));
	assert_string_equal(l.identity.worker_id, "w-1");
	assert_string_equal(secret_reveal(&l.identity.auth_token), token);
	assert_string_equal(l.identity.install_id, studio->install_id);
	assert_null(l.identity.request_id);
	identity_fini(&l.identity);
	config_fini(&l.config);
}

static unsigned run_seed(unsigned seed)
{
	struct rng rng;
	unsigned kills = 0;
	char dir[] = "/tmp/test-kill-XXXXXX";
	assert_non_null(mkdtemp(dir));
	rng_init_seeded(&rng, seed);
	*studio = (struct studio){.approve_after = 1 + (unsigned)rng_below(&rng, 3),
				  .forgets = rng_below(&rng, 3) == 0};
	for (int life = 0; life < LIVES; life++) {
		unsigned step = 1 + (unsigned)rng_below(&rng, 12);
		int code = one_life(dir, seed * 1000 + (unsigned)life, step);
		if (code == 0)
			break;
		assert_int_equal(code, KILLED);
		kills++;
	}
	check_end(dir);
	fs_remove_tree(dir, NULL);
	return kills;
}

static void no_death_loses_the_registration(void **state)
{
	(void)state;
	unsigned kills = 0;
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		kills += run_seed(seed);
	printf("%u deaths in %d registrations\n", kills, SEEDS);
	assert_true(kills >= 200);
}

int main(void)
{
	studio =
	    mmap(NULL, sizeof *studio, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (studio == MAP_FAILED)
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_death_loses_the_registration)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
