/* rig.h - a session against a scripted studio on the fake network, with the real job room behind
 * it. SPDX-License-Identifier: MIT */
#ifndef TEST_SESSION_RIG_H
#define TEST_SESSION_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "tests/fake/fake_engine.h"
#include "tests/fake/fake_net.h"
#include "tests/fake/fake_pool.h"
#include "worker/session/advert.h"
#include "worker/session/session.h"

#define UNUSED __attribute__((unused))
#define WELCOME                                                                                    \
	"{\"type\":\"welcome\",\"workerId\":\"w-1\",\"serverTime\":\"2026-05-25T12:00:00.000Z\"}"
#define WELCOME_ALL                                                                                \
	"{\"type\":\"welcome\",\"workerId\":\"w-1\",\"serverTime\":\"t\","                         \
	"\"features\":[\"progress\",\"cancel\",\"resume\",\"telepathy\"]}"
#define ACK "{\"type\":\"heartbeatAck\"}"

struct rig {
	char dir[64];
	struct clock clock;
	struct log log;
	struct log_sink sink;
	struct events events;
	struct fake_pool pool;
	struct fake_net net;
	struct fake_client *client;
	struct fake_lab lab;
	struct engines *engines;
	struct device *device;
	struct jobs *jobs;
	struct ship *ship;
	struct config config;
	struct identity identity;
	struct advert_deps advert;
	struct session *session;
	unsigned edits; /* of config.toml that were told */
	bool over;
	enum session_outcome outcome;

	/* the studio */
	int refuse_with; /* HTTP status of the upgrade */
	bool welcome, ack;
	struct conn *conn;
	char *url, *subprotocol, *bearer;
	struct worker_frame *frames[512];
	size_t n_frames, connects;
	int close_code;
	char *close_reason;
	char lines[1 << 16];
};

static UNUSED void rig_note(struct log_sink *s, const struct log_entry *e)
{
	struct rig *r = container_of(s, struct rig, sink);
	size_t n = strlen(r->lines);
	if (e->level > LOG_LEVEL_DEBUG)
		snprintf(r->lines + n, sizeof r->lines - n, "%s %s: %s\n", log_level_name(e->level),
			 e->category, e->message);
}

static UNUSED void studio_say(struct rig *r, const char *text)
{
	assert_non_null(r->conn);
	assert_int_equal(conn_send(r->conn, text, strlen(text), NULL), 0);
}

static UNUSED void studio_text(void *arg, const char *text, size_t len)
{
	struct rig *r = arg;
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	if (worker_frame_decode(text, len, &f, &e) < 0)
		fail_msg("%s: %s", e.text, text);
	assert_true(r->n_frames < ARRAY_LEN(r->frames));
	r->frames[r->n_frames++] = f;
	if (f->type == WF_HELLO && r->welcome)
		studio_say(r, WELCOME);
	else if (f->type == WF_HEARTBEAT && r->ack)
		studio_say(r, ACK);
}

static UNUSED void studio_end(void *arg, const struct conn_end *end)
{
	struct rig *r = arg;
	r->conn = NULL;
	r->close_code = end->kind == CONN_CLOSED ? end->close_code : -1;
	str_replace(&r->close_reason, end->text);
}

static const struct conn_events studio_events UNUSED = {.text = studio_text, .end = studio_end};

static UNUSED int studio_check(void *arg, const struct connect_request *q)
{
	struct rig *r = arg;
	r->connects++;
	str_replace(&r->url, q->url);
	str_replace(&r->subprotocol, q->subprotocol);
	str_replace(&r->bearer, secret_reveal(q->bearer));
	return r->refuse_with;
}

static UNUSED void studio_open(void *arg, struct conn *conn, const struct connect_request *q)
{
	struct rig *r = arg;
	(void)q;
	r->conn = conn;
	conn->events = &studio_events;
	conn->arg = r;
}

static const struct fake_server studio UNUSED = {.check = studio_check, .open = studio_open};

static UNUSED void rig_settle(struct rig *r)
{
	while (clock_next(&r->clock) == 0)
		clock_run(&r->clock);
}

static UNUSED void rig_advance(struct rig *r, uint64_t ms)
{
	uint64_t end = r->clock.mono_ms + ms;
	rig_settle(r);
	for (;;) {
		uint64_t next = clock_next(&r->clock);
		if (next == UINT64_MAX || r->clock.mono_ms + next > end)
			break;
		clock_set(&r->clock, r->clock.mono_ms + next, r->clock.wall_ms + (int64_t)next);
		rig_settle(r);
	}
	clock_set(&r->clock, end, r->clock.wall_ms + (int64_t)(end - r->clock.mono_ms));
}

static UNUSED struct capabilities *rig_snapshot(void *arg)
{
	return advert_snapshot(arg);
}

static UNUSED void rig_ended(void *arg, enum session_outcome outcome)
{
	struct rig *r = arg;
	assert_false(r->over);
	r->over = true;
	r->outcome = outcome;
}

static UNUSED void rig_config(struct rig *r, const char *text)
{
	auto_free char *path = fs_join(r->dir, "config.toml");
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	if (!r->config.path)
		assert_int_equal(config_load(&r->config, path, NULL, NULL), 0);
}

static UNUSED void rig_edited(void *arg)
{
	((struct rig *)arg)->edits++;
}

static UNUSED void rig_rooms(struct rig *r)
{
	struct err e = ERR_INIT;
	struct jobs_deps jd = {
	    .clock = &r->clock,
	    .log = &r->log,
	    .pool = &r->pool.pool,
	    .transport = &r->client->transport,
	    .events = &r->events,
	    .engines = r->engines,
	    .state_dir = r->config.state_dir,
	};
	r->jobs = jobs_new(&jd, &e);
	assert_non_null(r->jobs);
	r->advert = (struct advert_deps){&r->config, r->engines, r->device, r->jobs, &r->log};
	struct session_deps sd = {
	    .clock = &r->clock,
	    .log = &r->log,
	    .transport = &r->client->transport,
	    .events = &r->events,
	    .jobs = r->jobs,
	    .ship = r->ship,
	    .config = &r->config,
	    .config_changed = rig_edited,
	    .config_arg = r,
	    .identity = &r->identity,
	    .capabilities = rig_snapshot,
	    .capabilities_arg = &r->advert,
	    .ended = rig_ended,
	    .ended_arg = r,
	};
	r->session = session_new(&sd);
}

static UNUSED void rig_approve(struct rig *r)
{
	str_replace(&r->identity.worker_id, "w-1");
	secret_set(&r->identity.auth_token, "token");
}

static UNUSED struct rig *rig_new(void)
{
	struct rig *r = xcalloc(1, sizeof *r);
	snprintf(r->dir, sizeof r->dir, "/tmp/session-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	clock_init(&r->clock);
	clock_set(&r->clock, 1000, 1700000000000);
	log_init(&r->log, &r->clock);
	r->ship = ship_new(&r->log);
	r->sink.write = rig_note;
	log_add_sink(&r->log, &r->sink);
	events_init(&r->events);
	fake_pool_init(&r->pool, &r->clock);
	fake_net_init(&r->net, &r->clock);
	r->net.server = &studio;
	r->net.server_arg = r;
	r->client = fake_client_new(&r->net);
	fake_lab_init(&r->lab, &r->clock, &r->log, &r->pool.pool);
	r->engines = engines_new_from(&r->lab.env, fake_engine_table);
	r->device = device_new_fixed(8, PRESENCE_IDLE);
	rig_config(r, "api_base_url = \"http://studio/\"\n");
	rig_rooms(r);
	r->welcome = r->ack = true;
	return r;
}

/* Serving, with the first heartbeat out. */
static UNUSED struct rig *rig_serving(void)
{
	struct rig *r = rig_new();
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	return r;
}

static UNUSED void rig_forget_frames(struct rig *r)
{
	for (size_t i = 0; i < r->n_frames; i++)
		worker_frame_free(r->frames[i]);
	r->n_frames = 0;
}

static UNUSED void rig_free(struct rig *r)
{
	if (strstr(r->lines, "impossible"))
		fail_msg("%s", r->lines);
	session_free(r->session);
	jobs_free(r->jobs);
	rig_advance(r, 10000);
	rig_forget_frames(r);
	ship_free(r->ship);
	engines_free(r->engines);
	device_free(r->device);
	fake_net_fini(&r->net);
	fake_pool_fini(&r->pool);
	clock_fini(&r->clock);
	config_fini(&r->config);
	identity_fini(&r->identity);
	char *all[] = {r->url, r->subprotocol, r->bearer, r->close_reason};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	assert_int_equal(fs_remove_tree(r->dir, NULL), 0);
	free(r);
}

static UNUSED size_t count_frames(const struct rig *r, enum worker_frame_type t)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_frames; i++)
		n += r->frames[i]->type == t;
	return n;
}

static UNUSED void expect_log(struct rig *r, const char *line)
{
	if (!strstr(r->lines, line))
		fail_msg("no log line \"%s\" in:\n%s", line, r->lines);
}

static UNUSED void expect_no_log(struct rig *r, const char *line)
{
	if (strstr(r->lines, line))
		fail_msg("unexpected log line \"%s\" in:\n%s", line, r->lines);
}

static UNUSED void expect_over(struct rig *r, enum session_outcome outcome)
{
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_ENDED);
	assert_true(r->over);
	assert_int_equal(r->outcome, outcome);
}

#endif
