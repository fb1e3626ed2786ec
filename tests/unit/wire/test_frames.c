/* test_frames.c - every frame there and back, and what is refused.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

static struct worker_frame *worker(char *text)
{
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	int rc = worker_frame_decode(text, strlen(text), &f, &e);
	if (rc)
		print_error("%s: %s\n", text, e.text);
	assert_int_equal(rc, 0);
	free(text);
	return f;
}

static struct studio_frame *studio(char *text)
{
	struct studio_frame *f = NULL;
	struct err e = ERR_INIT;
	int rc = studio_frame_decode(text, strlen(text), &f, &e);
	if (rc)
		print_error("%s: %s\n", text, e.text);
	assert_int_equal(rc, 0);
	free(text);
	return f;
}

static struct capabilities *some_capabilities(void)
{
	struct capabilities *c = capabilities_new();
	str_replace(&c->machine_name, "box");
	str_replace(&c->username, "ann");
	str_replace(&c->agent_version, "1.2.3");
	c->vram_total_gb = 24;
	c->vram_threshold_gb = 12.5;
	c->auto_enabled = c->only_when_idle = true;
	c->presence = PRESENCE_ACTIVE;
	capabilities_add_model(c, KIND_LLM, "b");
	capabilities_add_model(c, KIND_LLM, "a");
	capabilities_add_model(c, KIND_IMAGE, "b");
	return c;
}

static void check_capabilities(const struct capabilities *c)
{
	assert_string_equal(c->machine_name, "box");
	assert_string_equal(c->engine, "multi");
	assert_true(c->vram_threshold_gb == 12.5 && c->vram_total_gb == 24);
	assert_true(c->auto_enabled && c->only_when_idle && !c->auto_start);
	assert_int_equal(c->presence, PRESENCE_ACTIVE);
	assert_int_equal(c->kinds, KIND_BIT(KIND_LLM) | KIND_BIT(KIND_IMAGE));
	assert_int_equal(c->models.n, 2);
	assert_string_equal(c->models.items[0], "a");
	assert_true(string_set_has(&c->per_kind[KIND_LLM], "b"));
	assert_false(string_set_has(&c->per_kind[KIND_IMAGE], "a"));
}

static void hello_and_heartbeat(void **state)
{
	(void)state;
	struct capabilities *c = some_capabilities();
	struct secret token = {NULL};
	secret_set(&token, "t0k3n");
	struct worker_frame *f = worker(frame_hello(&token, c));
	assert_int_equal(f->type, WF_HELLO);
	assert_true(secret_equal(&f->auth_token, &token));
	check_capabilities(f->capabilities);
	worker_frame_free(f);

	f = worker(frame_heartbeat(c, NULL));
	assert_int_equal(f->type, WF_HEARTBEAT);
	assert_null(f->job_id);
	check_capabilities(f->capabilities);
	worker_frame_free(f);
	f = worker(frame_heartbeat(c, "j1"));
	assert_string_equal(f->job_id, "j1");
	worker_frame_free(f);
	secret_clear(&token);
	capabilities_free(c);
}

static void job_frames(void **state)
{
	(void)state;
	struct worker_frame *f = worker(frame_accept("j"));
	assert_int_equal(f->type, WF_ACCEPT);
	assert_string_equal(f->job_id, "j");
	worker_frame_free(f);

	f = worker(frame_reject("j", "no", "busy"));
	assert_int_equal(f->type, WF_REJECT);
	assert_string_equal(f->text, "no");
	assert_string_equal(f->code, "busy");
	worker_frame_free(f);
	f = worker(frame_reject("j", "no", NULL));
	assert_null(f->code);
	worker_frame_free(f);

	f = worker(frame_fail("j", "bro\xffken", true));
	assert_int_equal(f->type, WF_FAIL);
	assert_string_equal(f->text, "bro\xef\xbf\xbdken");
	assert_true(f->retryable);
	worker_frame_free(f);

	json_t *result = json_pack("{s:I}", "n", (json_int_t)9007199254740993);
	f = worker(frame_complete_json("j", result, "p"));
	assert_int_equal(f->type, WF_COMPLETE_JSON);
	assert_true(json_equal(f->result, result));
	assert_string_equal(f->text, "p");
	worker_frame_free(f);
	json_decref(result);
	f = worker(frame_complete_json("j", json_null(), NULL));
	assert_true(json_is_null(f->result));
	assert_null(f->text);
	worker_frame_free(f);
}

static void other_worker_frames(void **state)
{
	(void)state;
	struct log_line lines[] = {
	    {(char[]){"2026-05-25T12:00:00.000Z"}, (char[]){"info"}, (char[]){"ws"},
	     (char[]){"one"}, NULL},
	    {(char[]){"2026-05-25T12:00:00.001Z"}, (char[]){"warn"}, (char[]){"job"},
	     (char[]){"two \"quoted\""}, (char[]){"j"}},
	};
	struct worker_frame *f = worker(frame_log_batch(lines, 2));
	assert_int_equal(f->type, WF_LOG_BATCH);
	assert_int_equal(f->n_lines, 2);
	assert_null(f->lines[0].job_id);
	assert_string_equal(f->lines[1].message, "two \"quoted\"");
	assert_string_equal(f->lines[1].job_id, "j");
	worker_frame_free(f);

	f = worker(frame_features(FEATURE_RESUME | FEATURE_PROGRESS));
	assert_int_equal(f->type, WF_FEATURES);
	assert_int_equal(f->features, FEATURE_RESUME | FEATURE_PROGRESS);
	worker_frame_free(f);

	f = worker(frame_progress("j", STAGE_UPLOADING, 0.5, "half"));
	assert_int_equal(f->type, WF_PROGRESS);
	assert_int_equal(f->stage, STAGE_UPLOADING);
	assert_true(f->fraction == 0.5);
	worker_frame_free(f);
	f = worker(frame_progress("j", STAGE_LOADING, -1, NULL));
	assert_true(f->fraction < 0);
	assert_null(f->text);
	worker_frame_free(f);

	struct resume_job jobs[] = {{(char[]){"a"}, true}, {(char[]){"b"}, false}};
	f = worker(frame_resume(jobs, 2));
	assert_int_equal(f->type, WF_RESUME);
	assert_int_equal(f->n_resume, 2);
	assert_true(f->resume[0].finished && !f->resume[1].finished);
	worker_frame_free(f);
	f = worker(xstrdup("{\"type\":\"readyForMore\",\"unknown\":[1]}"));
	assert_int_equal(f->type, WF_READY_FOR_MORE);
	worker_frame_free(f);
}

static void studio_frames(void **state)
{
	(void)state;
	struct studio_frame *f = studio(frame_welcome("w-1", "now", FEATURES_ALL));
	assert_int_equal(f->type, SF_WELCOME);
	assert_int_equal(f->features, FEATURES_ALL);
	assert_string_equal(f->worker_id, "w-1");
	studio_frame_free(f);
	char *plain = frame_welcome("w-1", "now", 0);
	assert_null(strstr(plain, "features"));
	studio_frame_free(studio(plain));

	f = studio(frame_heartbeat_ack());
	assert_int_equal(f->type, SF_HEARTBEAT_ACK);
	studio_frame_free(f);
	f = studio(frame_complete_ack("j"));
	assert_int_equal(f->type, SF_COMPLETE_ACK);
	assert_string_equal(f->job_id, "j");
	studio_frame_free(f);
	f = studio(frame_fail_ack("j"));
	assert_int_equal(f->type, SF_FAIL_ACK);
	studio_frame_free(f);
	f = studio(frame_cancel("j"));
	assert_int_equal(f->type, SF_CANCEL);
	studio_frame_free(f);

	char *keep[] = {(char[]){"a"}}, *drop[] = {(char[]){"b"}, (char[]){"c"}};
	f = studio(frame_resumed(keep, 1, drop, 2));
	assert_int_equal(f->type, SF_RESUMED);
	assert_int_equal(f->n_keep, 1);
	assert_int_equal(f->n_drop, 2);
	assert_string_equal(f->drop[1], "c");
	studio_frame_free(f);
}

static void errors(void **state)
{
	(void)state;
	for (enum error_code code = ERROR_AUTH_FAILED; code <= ERROR_INTERNAL; code++) {
		struct studio_frame *f = studio(frame_error(code, "why"));
		assert_int_equal(f->type, SF_ERROR);
		assert_int_equal(f->error, code);
		assert_string_equal(f->message, "why");
		studio_frame_free(f);
	}
	struct studio_frame *f =
	    studio(xstrdup("{\"type\":\"error\",\"code\":\"new\",\"message\":\"m\"}"));
	assert_int_equal(f->error, ERROR_UNKNOWN);
	assert_string_equal(f->error_text, "new");
	studio_frame_free(f);
}

static void offer(void **state)
{
	(void)state;
	json_t *task = json_pack("{s:s, s:s}", "kind", "audio_tts", "text", "hi");
	json_t *source = json_pack("{s:s}", "engine", "espeak-ng");
	struct studio_frame *f = studio(frame_offer("j", "g", "a", "m", 2, task, source));
	assert_int_equal(f->type, SF_OFFER);
	assert_string_equal(f->claim->job_id, "j");
	assert_string_equal(f->claim->game_id, "g");
	assert_true(f->claim->vram_gb_estimate == 2);
	assert_int_equal(f->claim->task->kind, KIND_TTS);
	assert_string_equal(f->claim->task->tts.text, "hi");
	assert_string_equal(f->claim->source->engine, "espeak-ng");
	char a[65], b[65];
	task_digest(task, source, a);
	task_digest(f->claim->task->raw, f->claim->source->raw, b);
	assert_string_equal(a, b);
	task_digest(source, task, b);
	assert_string_not_equal(a, b);
	studio_frame_free(f);
	json_decref(task);
	json_decref(source);
}

static void null_is_absent(void **state)
{
	(void)state;
	struct worker_frame *f = worker(xstrdup("{\"type\":\"reject\",\"jobId\":\"j\","
						"\"reason\":\"r\",\"code\":null}"));
	assert_null(f->code);
	worker_frame_free(f);
	struct studio_frame *s =
	    studio(xstrdup("{\"type\":\"welcome\",\"workerId\":\"w\",\"serverTime\":\"t\","
			   "\"features\":null,\"more\":{}}"));
	assert_int_equal(s->features, 0);
	studio_frame_free(s);
}

#define CLAIM(rest)                                                                                \
	"{\"type\":\"offer\",\"claim\":{\"jobId\":\"j\",\"gameId\":\"g\",\"assetName\":\"a\","     \
	"\"model\":\"m\",\"vramGbEstimate\":1" rest "}}"
#define TASK   ",\"task\":{\"kind\":\"image\",\"prompt\":\"p\"}"
#define SOURCE ",\"modelSource\":{\"engine\":\"e\"}"

static void bad_studio_frames(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"", "JSON"},
	    {"nonsense", "JSON"},
	    {"[]", "type"},
	    {"{}", "type"},
	    {"{\"type\":1}", "type"},
	    {"{\"type\":null}", "type"},
	    {"{\"type\":\"hello\"}", "unknown frame type"},
	    {"{\"type\":\"welcome\",\"workerId\":1,\"serverTime\":\"t\"}", "workerId"},
	    {"{\"type\":\"welcome\",\"serverTime\":\"t\"}", "workerId is missing"},
	    {"{\"type\":\"welcome\",\"workerId\":\"w\",\"serverTime\":\"t\",\"features\":1}",
	     "features"},
	    {"{\"type\":\"welcome\",\"type\":\"welcome\"}", "duplicate"},
	    {"{\"type\":\"heartbeatAck\"} x", "JSON"},
	    {"{\"type\":\"completeAck\"}", "jobId"},
	    {"{\"type\":\"error\",\"code\":\"x\"}", "message"},
	    {"{\"type\":\"resumed\",\"keep\":[1]}", "keep"},
	    {"{\"type\":\"offer\"}", "claim"},
	    {"{\"type\":\"offer\",\"claim\":[]}", "claim"},
	    {CLAIM(TASK), "modelSource is missing"},
	    {CLAIM(SOURCE), "task is missing"},
	    {CLAIM(TASK ",\"modelSource\":null"), "modelSource is missing"},
	    {CLAIM(SOURCE ",\"task\":\"image\""), "task must be an object"},
	    {CLAIM(TASK ",\"modelSource\":{}"), "engine"},
	    {CLAIM(TASK ",\"modelSource\":{\"engine\":\"e\",\"files\":[{}]}"), "files.role"},
	    {CLAIM(TASK SOURCE ",\"jobId\":\"k\""), "duplicate"},
	    {"{\"type\":\"heartbeatAck\",\"x\":\"\xff\"}", "UTF-8"},
	    {"{\"type\":\"heartbeatAck\",\"x\":\"\\u0000\"}", "JSON"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct studio_frame *f = NULL;
		struct err e = ERR_INIT;
		int rc = studio_frame_decode(bad[i].text, strlen(bad[i].text), &f, &e);
		if (rc != -EPROTO || !strstr(e.text, bad[i].says))
			fail_msg("%s: %d %s", bad[i].text, rc, e.text);
		assert_null(f);
	}
}

static void bad_worker_frames(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"{\"type\":\"welcome\"}", "unknown frame type"},
	    {"{\"type\":\"hello\",\"authToken\":\"t\"}", "capabilities is missing"},
	    {"{\"type\":\"hello\",\"authToken\":\"t\",\"capabilities\":1}", "object"},
	    {"{\"type\":\"hello\",\"capabilities\":{}}", "authToken"},
	    {"{\"type\":\"heartbeat\",\"capabilities\":{}}", "machineName"},
	    {"{\"type\":\"heartbeat\",\"currentJobId\":7}", "currentJobId"},
	    {"{\"type\":\"accept\"}", "jobId"},
	    {"{\"type\":\"reject\",\"jobId\":\"j\"}", "reason"},
	    {"{\"type\":\"completeJson\",\"jobId\":\"j\"}", "result"},
	    {"{\"type\":\"fail\",\"jobId\":\"j\",\"error\":\"e\"}", "retryable"},
	    {"{\"type\":\"fail\",\"jobId\":\"j\",\"error\":\"e\",\"retryable\":1}", "boolean"},
	    {"{\"type\":\"logBatch\"}", "entries"},
	    {"{\"type\":\"logBatch\",\"entries\":[{\"ts\":\"t\"}]}", "level"},
	    {"{\"type\":\"logBatch\",\"entries\":[1]}", "object"},
	    {"{\"type\":\"progress\",\"jobId\":\"j\",\"stage\":\"x\"}", "stage"},
	    {"{\"type\":\"progress\",\"jobId\":\"j\",\"stage\":\"loading\",\"fraction\":2}",
	     "fraction"},
	    {"{\"type\":\"resume\",\"jobs\":[{\"jobId\":\"j\",\"state\":\"x\"}]}", "state"},
	    {"{\"type\":\"features\",\"features\":{}}", "features"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct worker_frame *f = NULL;
		struct err e = ERR_INIT;
		int rc = worker_frame_decode(bad[i].text, strlen(bad[i].text), &f, &e);
		if (rc != -EPROTO || !strstr(e.text, bad[i].says))
			fail_msg("%s: %d %s", bad[i].text, rc, e.text);
		assert_null(f);
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(worker_frame_name(WF_COMPLETE_JSON), "completeJson");
	assert_string_equal(studio_frame_name(SF_HEARTBEAT_ACK), "heartbeatAck");
	assert_string_equal(stage_name(STAGE_DOWNLOADING), "downloading");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hello_and_heartbeat),
	    cmocka_unit_test(job_frames),
	    cmocka_unit_test(other_worker_frames),
	    cmocka_unit_test(studio_frames),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(offer),
	    cmocka_unit_test(null_is_absent),
	    cmocka_unit_test(bad_studio_frames),
	    cmocka_unit_test(bad_worker_frames),
	    cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
