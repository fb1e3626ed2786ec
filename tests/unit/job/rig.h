/* rig.h - a job room with everything around it faked: clock, pool, engine, studio; only the disk is
 * real. SPDX-License-Identifier: MIT */
#ifndef TEST_JOB_RIG_H
#define TEST_JOB_RIG_H

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
#include "worker/job/jobs.h"

#define UNUSED __attribute__((unused))

struct rig {
	char dir[64];
	struct clock clock;
	struct log log;
	struct log_sink sink;
	struct events events;
	struct observer observer;
	struct fake_pool pool;
	struct fake_net net;
	struct fake_client *client;
	struct fake_lab lab;
	struct engines *engines;
	struct store *store; /* NULL: files are not brought; see rig_restart() */
	int (*admit)(void *arg, const struct claim *c, struct err *e); /* of the rig; likewise */
	struct jobs *jobs;
	struct secret token;
	struct worker_frame *frames[64];
	size_t n_frames;
	bool refuse; /* the session can't send */
	int status;  /* how the studio answers an upload; 0: not at all, see `request` */
	struct fake_request *request;
	char *body, *prompt, *ext, *name, *url; /* of the last upload */
	size_t body_len, uploads;
	char lines[1 << 16];
	char states[4096]; /* "job:state " for every event */
	uint64_t outbox;
};

static UNUSED int rig_send(void *arg, const char *frame, struct err *e)
{
	struct rig *r = arg;
	struct worker_frame *f = NULL;
	if (r->refuse)
		return err_set(e, ENOTCONN, "the socket is gone");
	assert_int_equal(worker_frame_decode(frame, strlen(frame), &f, e), 0);
	assert_true(r->n_frames < ARRAY_LEN(r->frames));
	r->frames[r->n_frames++] = f;
	return 0;
}

static UNUSED void rig_note(struct log_sink *s, const struct log_entry *e)
{
	struct rig *r = container_of(s, struct rig, sink);
	size_t n = strlen(r->lines);
	snprintf(r->lines + n, sizeof r->lines - n, "%s %s\n", log_level_name(e->level),
		 e->message);
}

static UNUSED void rig_event(struct observer *o, const struct event *e)
{
	struct rig *r = container_of(o, struct rig, observer);
	size_t n = strlen(r->states);
	if (e->type == EVENT_JOB)
		snprintf(r->states + n, sizeof r->states - n, "%s:%s ", e->job_id, e->state);
	else if (e->type == EVENT_OUTBOX)
		r->outbox = e->count;
}

static UNUSED void rig_upload(void *arg, struct fake_request *q)
{
	struct rig *r = arg;
	str_replace(&r->prompt, q->prompt);
	str_replace(&r->ext, q->ext);
	str_replace(&r->name, q->file_name);
	str_replace(&r->url, q->url);
	free(r->body);
	r->body = q->file ? xstrndup(q->file, q->file_len) : NULL;
	r->body_len = q->file_len;
	r->uploads++;
	if (r->status)
		fake_request_answer(q, r->status, "{}");
	else
		r->request = q;
}

static const struct fake_server rig_server UNUSED = {.request = rig_upload};

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

static UNUSED void rig_link(struct rig *r, unsigned features)
{
	struct job_link link = {
	    .send = rig_send,
	    .arg = r,
	    .api_base = "http://studio/graphics/api",
	    .worker_id = "w-1",
	    .auth_token = &r->token,
	    .features = features,
	};
	jobs_link_up(r->jobs, &link);
	rig_settle(r);
}

static UNUSED void rig_open(struct rig *r)
{
	struct err e = ERR_INIT;
	struct jobs_deps d = {
	    .clock = &r->clock,
	    .log = &r->log,
	    .pool = &r->pool.pool,
	    .transport = &r->client->transport,
	    .events = &r->events,
	    .engines = r->engines,
	    .store = r->store,
	    .admit = r->admit,
	    .admit_arg = r,
	    .state_dir = r->dir,
	};
	r->jobs = jobs_new(&d, &e);
	assert_non_null(r->jobs);
}

static UNUSED struct rig *rig_new(void)
{
	struct rig *r = xcalloc(1, sizeof *r);
	snprintf(r->dir, sizeof r->dir, "/tmp/job-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	clock_init(&r->clock);
	clock_set(&r->clock, 1000, 1700000000000);
	log_init(&r->log, &r->clock);
	r->sink.write = rig_note;
	log_add_sink(&r->log, &r->sink);
	events_init(&r->events);
	r->observer.event = rig_event;
	events_subscribe(&r->events, &r->observer);
	fake_pool_init(&r->pool, &r->clock);
	fake_net_init(&r->net, &r->clock);
	r->net.server = &rig_server;
	r->net.server_arg = r;
	r->client = fake_client_new(&r->net);
	fake_lab_init(&r->lab, &r->clock, &r->log, &r->pool.pool);
	r->engines = engines_new_from(&r->lab.env, fake_engine_table);
	secret_set(&r->token, "token");
	r->status = 200;
	rig_open(r);
	return r;
}

static UNUSED void rig_forget_frames(struct rig *r)
{
	for (size_t i = 0; i < r->n_frames; i++)
		worker_frame_free(r->frames[i]);
	r->n_frames = 0;
}

/* The worker's program ends and starts again. */
static UNUSED void rig_restart(struct rig *r)
{
	jobs_free(r->jobs);
	rig_settle(r);
	rig_open(r);
}

static UNUSED void rig_free(struct rig *r)
{
	if (strstr(r->lines, "impossible"))
		fail_msg("%s", r->lines);
	jobs_free(r->jobs);
	rig_advance(r, 10000);
	rig_forget_frames(r);
	engines_free(r->engines);
	fake_net_fini(&r->net);
	fake_pool_fini(&r->pool);
	clock_fini(&r->clock);
	secret_clear(&r->token);
	free(r->body);
	free(r->prompt);
	free(r->ext);
	free(r->name);
	free(r->url);
	assert_int_equal(fs_remove_tree(r->dir, NULL), 0);
	free(r);
}

static UNUSED const char *task_of(enum kind k)
{
	static const char *const tasks[] = {
	    [KIND_IMAGE] = "{\"kind\":\"image\",\"prompt\":\"a cat\",\"ext\":\"png\"}",
	    [KIND_LLM] = "{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
	    [KIND_STT] = "{\"kind\":\"audio_stt\",\"inputUrl\":\"http://a/b.wav\"}",
	    [KIND_TTS] = "{\"kind\":\"audio_tts\",\"text\":\"hello\"}",
	    [KIND_VIDEO] = "{\"kind\":\"video\",\"prompt\":\"a dog\"}",
	};
	return tasks[k];
}

/* files: a JSON array. */
static UNUSED void rig_offer_files(struct rig *r, const char *id, const char *task,
				   const char *engine, const char *files)
{
	struct err e = ERR_INIT;
	struct studio_frame *f = NULL;
	auto_free char *text = xasprintf(
	    "{\"type\":\"offer\",\"claim\":{\"jobId\":\"%s\",\"gameId\":\"g\",\"assetName\":\"a\","
	    "\"model\":\"m\",\"vramGbEstimate\":2.5,\"task\":%s,\"modelSource\":"
	    "{\"engine\":\"%s\",\"files\":%s,\"cliDefaults\":{}}}}",
	    id, task, engine, files);
	int rc = studio_frame_decode(text, strlen(text), &f, &e);
	if (rc < 0)
		fail_msg("%s", e.text);
	jobs_offer(r->jobs, steal(&f->claim));
	studio_frame_free(f);
	rig_settle(r);
}

static UNUSED void rig_offer_as(struct rig *r, const char *id, const char *task, const char *engine)
{
	rig_offer_files(r, id, task, engine, "[]");
}

static UNUSED void rig_offer(struct rig *r, const char *id, enum kind k)
{
	rig_offer_as(r, id, task_of(k), "fake");
}

static UNUSED void rig_finish(struct rig *r)
{
	struct fake_run *run = fake_lab_run(&r->lab, NULL);
	assert_non_null(run);
	fake_run_finish(run);
	rig_settle(r);
}

/* The newest frame is of this type and about this job. */
static UNUSED struct worker_frame *expect_frame(struct rig *r, enum worker_frame_type t,
						const char *id)
{
	if (!r->n_frames)
		fail_msg("no frame was sent, expected %s", worker_frame_name(t));
	struct worker_frame *f = r->frames[r->n_frames - 1];
	assert_string_equal(worker_frame_name(f->type), worker_frame_name(t));
	assert_string_equal(f->job_id, id);
	return f;
}

static UNUSED void expect_log(struct rig *r, const char *line)
{
	if (!strstr(r->lines, line))
		fail_msg("no log line \"%s\" in:\n%s", line, r->lines);
}

static UNUSED size_t folder_len(struct rig *r, const char *name)
{
	char **names = NULL;
	size_t n = 0;
	auto_free char *path = fs_join(r->dir, name);
	if (fs_list(path, &names, &n, NULL) < 0)
		return 0;
	fs_list_free(names, n);
	return n;
}

#endif
