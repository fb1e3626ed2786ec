/* test_session.c - every row of protocol section 6: states, timers, endings and the words in the
 * log. SPDX-License-Identifier: MIT */
#include "tests/unit/session/rig.h"

static void waits_for_approval(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	session_start(r->session);
	rig_advance(r, 60000);
	assert_int_equal(session_state(r->session), SESSION_WAITING);
	assert_int_equal(r->connects, 0);
	const char *line = "info ws: waiting for operator approval before opening the session\n";
	expect_log(r, line);
	assert_null(strstr(strstr(r->lines, line) + 1, line)); /* said once */
	rig_approve(r);
	rig_advance(r, 1000);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_free(r);
}

static void greets_as_the_protocol_says(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->welcome = false;
	rig_approve(r);
	session_start(r->session);
	rig_advance(r, 19999);
	assert_string_equal(r->url, "ws://studio/graphics/api/workers/w-1/connect");
	assert_string_equal(r->subprotocol, "studio-worker-v1");
	assert_string_equal(r->bearer, "token");
	expect_log(r, "info ws: connecting to http://studio/\n");
	expect_log(
	    r, "info ws: advertising engine=multi, vram=8/12GB threshold, auto_enabled=true, "
	       "kinds=[image, llm, audio_stt, audio_tts, video], 5 model(s)=[fake-image, fake-llm, "
	       "fake-stt, fake-tts, fake-video]\n");
	expect_log(r, "warn ws: vram_threshold_gb is 12 but only 8 GB were detected");
	/* Nothing but hello before welcome. */
	assert_int_equal(r->n_frames, 1);
	assert_int_equal(r->frames[0]->type, WF_HELLO);
	assert_string_equal(secret_reveal(&r->frames[0]->auth_token), "token");
	assert_int_equal(r->frames[0]->capabilities->models.n, 5);
	studio_say(r, WELCOME);
	rig_settle(r);
	expect_log(r, "info ws: server welcomed w-1 server_time=2026-05-25T12:00:00.000Z\n");
	assert_int_equal(r->n_frames, 2);
	assert_int_equal(r->frames[1]->type, WF_HEARTBEAT);
	rig_free(r);
}

static void a_silent_greeting_ends(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->welcome = false;
	rig_approve(r);
	session_start(r->session);
	for (int i = 0; i < 19; i++) {
		rig_advance(r, 1000);
		studio_say(r, ACK); /* is no welcome */
	}
	rig_advance(r, 999);
	assert_int_equal(session_state(r->session), SESSION_GREETING);
	expect_log(r, "warn ws: server sent unexpected frame before welcome: heartbeatAck\n");
	rig_advance(r, 1);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	rig_free(r);
}

static void offers_before_welcome_are_dropped(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->welcome = false;
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	studio_say(r, "{\"type\":\"failAck\",\"jobId\":\"j1\"}");
	rig_settle(r);
	expect_log(r, "warn ws: server sent unexpected frame before welcome: failAck\n");
	studio_say(r, WELCOME);
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_free(r);
}

static void beats_every_five_seconds(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	assert_int_equal(count_frames(r, WF_HEARTBEAT), 1);
	rig_advance(r, 4999);
	assert_int_equal(count_frames(r, WF_HEARTBEAT), 1);
	rig_advance(r, 1);
	assert_int_equal(count_frames(r, WF_HEARTBEAT), 2);
	/* A fresh snapshot: pause and an edit of the owner. */
	jobs_pause(r->jobs, true);
	rig_config(r, "api_base_url = \"http://studio/\"\nvram_threshold_gb = 6\n");
	rig_advance(r, 5000);
	struct worker_frame *f = NULL;
	for (size_t i = 0; i < r->n_frames; i++)
		if (r->frames[i]->type == WF_HEARTBEAT)
			f = r->frames[i];
	assert_false(f->capabilities->auto_enabled);
	assert_true(f->capabilities->vram_threshold_gb > 5.9 &&
		    f->capabilities->vram_threshold_gb < 6.1);
	assert_null(f->job_id);
	rig_advance(r, 600000);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	assert_int_equal(r->connects, 1);
	expect_no_log(r, "heartbeat");
	rig_free(r);
}

static void an_edit_is_told_once(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	unsigned before = r->edits;
	rig_config(r, "api_base_url = \"http://studio/\"\ndownload_limit_mbps = 80\n");
	rig_advance(r, 20000);
	assert_int_equal(r->edits, before + 1);
	assert_true(r->config.options.download_limit_mbps > 79);
	/* A comment is no change, and those who borrowed the strings keep them. */
	const char *root = r->config.options.models_root;
	rig_config(r, "api_base_url = \"http://studio/\"\ndownload_limit_mbps = 80 # slow\n");
	rig_advance(r, 20000);
	assert_int_equal(r->edits, before + 1);
	assert_ptr_equal(r->config.options.models_root, root);
	rig_config(r, "api_base_url = \n");
	rig_advance(r, 20000);
	assert_int_equal(r->edits, before + 1);
	rig_free(r);
}

static void a_broken_config_keeps_the_options(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	rig_config(r, "api_base_url = \n");
	rig_advance(r, 60000);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	expect_log(r, "the options of before stay");
	rig_free(r);
}

static void silence_is_death(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	r->ack = false;
	rig_advance(r, 19999);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_advance(r, 1);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	expect_log(r, "warn ws: disconnected; reconnect attempt 1 in 1000ms\n");
	rig_free(r);
}

static void half_open_is_noticed_too(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	r->client->deaf = true;
	rig_advance(r, 20000);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	r->client->deaf = false;
	rig_advance(r, 1000);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_free(r);
}

static void backs_off_and_gives_up(void **state)
{
	(void)state;
	static const unsigned waits[] = {1000, 2000, 4000, 8000, 16000};
	struct rig *r = rig_new();
	r->net.server = NULL;
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	expect_log(r, "warn ws: connect failed: connection refused\n");
	for (unsigned i = 0; i < ARRAY_LEN(waits); i++) {
		char line[80];
		snprintf(line, sizeof line, "disconnected; reconnect attempt %u in %ums\n", i + 1,
			 waits[i]);
		expect_log(r, line);
		rig_advance(r, waits[i] - 1);
		assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
		assert_int_equal(r->client->connects, i + 1);
		rig_advance(r, 1);
		assert_int_equal(r->client->connects, i + 2);
	}
	expect_over(r, SESSION_EXHAUSTED);
	expect_log(r, "error ws: giving up after 5 reconnect attempts\n");
	rig_free(r);
}

static void zero_attempts_means_for_ever(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_config(r, "api_base_url = \"http://studio/\"\nws_reconnect_attempts = 0\n");
	r->net.server = NULL;
	rig_approve(r);
	session_start(r->session);
	rig_advance(r, 3600000);
	assert_in_range(r->client->connects, 115, 130); /* never more than 30 s apart */
	expect_log(r, "reconnect attempt 9 in 30000ms\n");
	r->net.server = &studio;
	rig_advance(r, 30000);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_free(r);
}

static void welcome_resets_the_count(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	for (int i = 0; i < 20; i++) {
		fake_client_cut(r->client);
		rig_settle(r);
		assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
		rig_advance(r, 1000);
		assert_int_equal(session_state(r->session), SESSION_SERVING);
	}
	expect_no_log(r, "reconnect attempt 2");
	rig_free(r);
}

static void a_connect_is_bounded(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->client->mute = true;
	rig_approve(r);
	session_start(r->session);
	rig_advance(r, 14999);
	assert_int_equal(session_state(r->session), SESSION_CONNECTING);
	rig_advance(r, 1);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	expect_log(r, "warn ws: connect failed: ");
	rig_free(r);
}

static void refused_upgrades(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->refuse_with = 503;
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	r->refuse_with = 401;
	rig_advance(r, 1000);
	expect_over(r, SESSION_AUTH_FAILED);
	expect_log(r, "error ws: auth failed: ");
	expect_log(r, ". Re-register the worker.\n");
	rig_free(r);
}

static void error_frames(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		bool over;
		enum session_outcome outcome;
	} rows[] = {
	    {"auth_failed", true, SESSION_AUTH_FAILED},
	    {"protocol_violation", true, SESSION_STUDIO_ERROR},
	    {"duplicate_worker", true, SESSION_FATAL},
	    {"worker_deleted", true, SESSION_FATAL},
	    {"internal_error", true, SESSION_STUDIO_ERROR},
	    {"out_of_coffee", false, SESSION_STOPPED},
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		bool early = i % 2;
		const char *code = rows[i / 2].code;
		struct rig *r = rig_new();
		r->welcome = !early;
		rig_approve(r);
		session_start(r->session);
		rig_settle(r);
		auto_free char *text =
		    xasprintf("{\"type\":\"error\",\"code\":\"%s\",\"message\":\"because\"}", code);
		studio_say(r, text);
		rig_settle(r);
		auto_free char *line = xasprintf("error ws: server error%s %s: because\n",
						 early ? " before welcome" : "", code);
		expect_log(r, line);
		assert_int_equal(r->over, rows[i / 2].over);
		if (!r->over)
			expect_log(r, "warn ws: disconnected; reconnect attempt 1 in 1000ms\n");
		else if (rows[i / 2].outcome != SESSION_AUTH_FAILED)
			expect_log(r, "error ws: fatal: ");
		else
			expect_log(r, "error ws: auth failed: because. Re-register the worker.\n");
		if (r->over)
			expect_over(r, rows[i / 2].outcome);
		rig_free(r);
	}
}

static void close_codes(void **state)
{
	(void)state;
	static const struct {
		int code;
		bool over;
		enum session_outcome outcome;
	} rows[] = {
	    {4001, true, SESSION_AUTH_FAILED}, {4002, false, SESSION_STOPPED},
	    {4003, true, SESSION_FATAL},       {4004, true, SESSION_FATAL},
	    {1000, false, SESSION_STOPPED},    {1001, false, SESSION_STOPPED},
	    {1005, false, SESSION_STOPPED},    {4999, false, SESSION_STOPPED},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *r = rig_serving();
		conn_close(steal(&r->conn), rows[i].code, "bye");
		rig_settle(r);
		assert_int_equal(r->over, rows[i].over);
		if (r->over)
			expect_over(r, rows[i].outcome);
		else
			expect_log(r, "warn ws: disconnected; reconnect attempt 1 in 1000ms\n");
		rig_free(r);
	}
}

static void bad_frames_end_the_session(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "",
	    "nonsense",
	    "[]",
	    "{\"type\":\"sing\"}",
	    "{\"type\":\"offer\",\"claim\":{\"jobId\":\"j1\"}}",
	    "{\"type\":\"completeAck\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct rig *r = rig_serving();
		studio_say(r, texts[i]);
		rig_settle(r);
		assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
		expect_log(r, "warn ws: session error: protocol error: ");
		expect_log(r, "; reconnect attempt 1 in 1000ms\n");
		rig_advance(r, 1000);
		assert_int_equal(session_state(r->session), SESSION_SERVING);
		rig_free(r);
	}
}

static void stops_in_every_state(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct rig *r = rig_new();
		if (i > 0)
			rig_approve(r);
		if (i == 1)
			r->client->mute = true; /* connecting */
		r->welcome = i == 3;
		if (i == 4)
			r->net.server = NULL; /* backing off */
		session_start(r->session);
		rig_settle(r);
		enum session_state want[] = {SESSION_WAITING, SESSION_CONNECTING, SESSION_GREETING,
					     SESSION_SERVING, SESSION_BACKING_OFF};
		assert_int_equal(session_state(r->session), want[i]);
		session_stop(r->session);
		session_stop(r->session);
		expect_over(r, SESSION_STOPPED);
		if (i == 2 || i == 3) {
			assert_int_equal(r->close_code, 1000);
			assert_string_equal(r->close_reason, "session ended");
		}
		rig_free(r);
	}
}

static void send_failure_ends_the_session(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	r->client->refuse_sends = true;
	rig_advance(r, 5000);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	expect_log(r,
		   "warn ws: session error: the socket is gone; reconnect attempt 1 in 1000ms\n");
	rig_free(r);
}

static void ships_its_log(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	assert_int_equal(count_frames(r, WF_LOG_BATCH), 0);
	rig_advance(r, 1000);
	assert_int_equal(count_frames(r, WF_LOG_BATCH), 1);
	struct worker_frame *f = r->frames[r->n_frames - 1];
	assert_int_equal(f->type, WF_LOG_BATCH);
	assert_string_equal(f->lines[0].message, "connecting to http://studio/");
	assert_string_equal(f->lines[0].category, "ws");
	assert_int_equal(ship_len(r->ship), 0);
	rig_advance(r, 60000);
	assert_int_equal(count_frames(r, WF_LOG_BATCH), 1); /* none when there is none */
	rig_free(r);
}

static void a_failed_batch_goes_back(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	size_t queued = ship_len(r->ship);
	assert_true(queued > 0);
	r->client->refuse_sends = true;
	rig_advance(r, 1000);
	assert_true(ship_len(r->ship) >= queued);
	r->client->refuse_sends = false;
	rig_forget_frames(r);
	rig_advance(r, 2000);
	assert_int_equal(count_frames(r, WF_LOG_BATCH), 1);
	struct worker_frame *f = r->frames[r->n_frames - 1];
	assert_string_equal(f->lines[0].message, "connecting to http://studio/"); /* older first */
	rig_free(r);
}

static void a_batch_cut_on_its_way_goes_back(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	size_t queued = ship_len(r->ship);
	clock_set(&r->clock, r->clock.mono_ms + 1000, r->clock.wall_ms + 1000);
	clock_run(&r->clock); /* sent, not drained yet */
	fake_client_cut(r->client);
	session_stop(r->session);
	assert_true(ship_len(r->ship) >= queued);
	rig_free(r);
}

static void no_trace_of_extensions(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	assert_int_equal(count_frames(r, WF_FEATURES), 0);
	assert_int_equal(count_frames(r, WF_RESUME), 0);
	assert_int_equal(count_frames(r, WF_READY_FOR_MORE), 0);
	rig_free(r);
}

static void announces_features(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->welcome = false;
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	studio_say(r, WELCOME_ALL);
	rig_settle(r);
	assert_int_equal(r->n_frames, 4);
	assert_int_equal(r->frames[1]->type, WF_FEATURES);
	assert_int_equal(r->frames[1]->features, FEATURES_ALL);
	assert_int_equal(r->frames[2]->type, WF_RESUME);
	assert_int_equal(r->frames[2]->n_resume, 0);
	assert_int_equal(r->frames[3]->type, WF_HEARTBEAT);
	studio_say(r, "{\"type\":\"resumed\",\"keep\":[],\"drop\":[]}");
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	rig_free(r);
}

static void a_new_address_is_used(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	rig_config(r, "api_base_url = \"http://elsewhere/mount\"\n");
	rig_advance(r, 6000);
	assert_string_equal(r->url, "ws://elsewhere/mount/graphics/api/workers/w-1/connect");
	assert_int_equal(session_state(r->session), SESSION_SERVING);
	str_replace(&r->identity.worker_id, NULL); /* register --reset */
	rig_advance(r, 6000);
	assert_int_equal(session_state(r->session), SESSION_WAITING);
	expect_log(r, "waiting for operator approval");
	rig_free(r);
}

static void a_bad_address_is_a_failed_connect(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_config(r, "api_base_url = \"ftp://studio/\"\n");
	rig_approve(r);
	session_start(r->session);
	rig_settle(r);
	assert_int_equal(session_state(r->session), SESSION_BACKING_OFF);
	expect_log(r, "warn ws: connect failed: ");
	rig_free(r);
}

static void a_job_through_the_session(void **state)
{
	(void)state;
	struct rig *r = rig_serving();
	studio_say(
	    r,
	    "{\"type\":\"offer\",\"claim\":{\"jobId\":\"j1\",\"gameId\":\"g\",\"assetName\":\"a\","
	    "\"model\":\"m\",\"vramGbEstimate\":1,\"task\":{\"kind\":\"llm\",\"messages\":"
	    "[{\"role\":\"user\",\"content\":\"hi\"}]},\"modelSource\":{\"engine\":\"fake\","
	    "\"files\":[],\"cliDefaults\":{}}}}");
	rig_settle(r);
	assert_int_equal(count_frames(r, WF_ACCEPT), 1);
	rig_forget_frames(r);
	rig_advance(r, 5000);
	struct worker_frame *beat = NULL;
	for (size_t i = 0; i < r->n_frames; i++)
		if (r->frames[i]->type == WF_HEARTBEAT)
			beat = r->frames[i];
	assert_non_null(beat);
	assert_string_equal(beat->job_id, "j1");
	fake_client_cut(r->client); /* the run survives */
	rig_advance(r, 1000);
	fake_run_finish(fake_lab_run(&r->lab, "j1"));
	rig_settle(r);
	assert_int_equal(count_frames(r, WF_COMPLETE_JSON), 0);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_for_approval),
	    cmocka_unit_test(greets_as_the_protocol_says),
	    cmocka_unit_test(a_silent_greeting_ends),
	    cmocka_unit_test(offers_before_welcome_are_dropped),
	    cmocka_unit_test(beats_every_five_seconds),
	    cmocka_unit_test(an_edit_is_told_once),
	    cmocka_unit_test(a_broken_config_keeps_the_options),
	    cmocka_unit_test(silence_is_death),
	    cmocka_unit_test(half_open_is_noticed_too),
	    cmocka_unit_test(backs_off_and_gives_up),
	    cmocka_unit_test(zero_attempts_means_for_ever),
	    cmocka_unit_test(welcome_resets_the_count),
	    cmocka_unit_test(a_connect_is_bounded),
	    cmocka_unit_test(refused_upgrades),
	    cmocka_unit_test(error_frames),
	    cmocka_unit_test(close_codes),
	    cmocka_unit_test(bad_frames_end_the_session),
	    cmocka_unit_test(stops_in_every_state),
	    cmocka_unit_test(send_failure_ends_the_session),
	    cmocka_unit_test(ships_its_log),
	    cmocka_unit_test(a_failed_batch_goes_back),
	    cmocka_unit_test(a_batch_cut_on_its_way_goes_back),
	    cmocka_unit_test(no_trace_of_extensions),
	    cmocka_unit_test(announces_features),
	    cmocka_unit_test(a_new_address_is_used),
	    cmocka_unit_test(a_bad_address_is_a_failed_connect),
	    cmocka_unit_test(a_job_through_the_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
