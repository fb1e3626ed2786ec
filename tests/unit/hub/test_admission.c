/* test_admission.c - being let in: requests, polls, decisions, tokens.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/admission.h"
#include "lib/wire/registration.h"
#include "tests/unit/hub/studio_fixture.h"

#define SECRET	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define INSTALL "11111111-2222-4333-8444-555555555555"

static struct {
	struct admission *a;
	int status, answers;
	json_t *json;
} t;

static int set_up(void **state)
{
	studio_set_up(state);
	struct studio *s = *state;
	struct admission_deps d = {&s->clock, &s->log, &s->rng, s->storage, 10};
	t.a = admission_new(&d);
	return 0;
}

static int tear_down(void **state)
{
	admission_free(t.a);
	json_decref(t.json);
	t.json = NULL;
	return studio_tear_down(state);
}

static void answered(void *arg, int status, const char *json)
{
	(void)arg;
	t.answers++;
	t.status = status;
	json_decref(t.json);
	t.json = json_loads(json, 0, NULL);
	assert_non_null(t.json);
}

static const char *text(const char *key)
{
	return json_string_value(json_object_get(t.json, key));
}

static int request_from(struct studio *s, const char *peer, const char *secret)
{
	struct secret sec = {0};
	char hash[SHA256_HEX_LEN];
	struct capabilities *c = able();
	secret_set(&sec, secret);
	token_hash(&sec, hash);
	auto_free char *body = register_request_encode(INSTALL, hash, c, "studio-worker/1");
	t.answers = 0;
	admission_request(t.a, peer, body, strlen(body), answered, NULL);
	pass(s, s->delay);
	assert_int_equal(t.answers, 1);
	capabilities_free(c);
	secret_clear(&sec);
	return t.status;
}

static int poll_it(struct studio *s, const char *id, const char *secret)
{
	struct secret sec = {0};
	secret_set(&sec, secret);
	t.answers = 0;
	admission_poll(t.a, id, &sec, answered, NULL);
	secret_clear(&sec);
	pass(s, 3 * s->delay);
	assert_int_equal(t.answers, 1);
	return t.status;
}

static int decide(struct studio *s, const char *id, const char *reason)
{
	t.answers = 0;
	admission_decide(t.a, id, reason, answered, NULL);
	pass(s, s->delay);
	assert_int_equal(t.answers, 1);
	return t.status;
}

static void test_the_whole_way_in(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	assert_int_equal(request_from(s, "10.0.0.1", SECRET), 200);
	auto_free char *id = xstrdup(text("requestId"));
	assert_int_equal(strncmp(id, "rr-", 3), 0);
	assert_string_equal(text("status"), "pending");
	assert_int_equal(request_from(s, "10.0.0.1", SECRET), 200);
	assert_string_equal(text("requestId"), id);
	assert_int_equal(poll_it(s, id, SECRET), 200);
	assert_string_equal(text("status"), "pending");
	assert_int_equal(decide(s, id, NULL), 200);
	auto_free char *worker = xstrdup(text("workerId"));
	assert_int_equal(decide(s, id, NULL), 409);
	assert_int_equal(decide(s, id, "too late"), 409);

	assert_int_equal(poll_it(s, id, SECRET), 200);
	assert_string_equal(text("status"), "approved");
	assert_string_equal(text("workerId"), worker);
	auto_free char *token = xstrdup(text("authToken"));
	assert_int_equal(strlen(token), 64);
	dial_with(s, &w, worker, token);
	hello(&w, token);
	assert_non_null(next(&w, SF_WELCOME));

	/* Another poll: another token; the session goes on, the old token opens no new one. */
	assert_int_equal(poll_it(s, id, SECRET), 200);
	assert_string_not_equal(text("authToken"), token);
	assert_int_equal(w.close_code, 0);
	beat(&w);
	assert_non_null(next(&w, SF_HEARTBEAT_ACK));
	cut_line(&w);
	dial_with(s, &w, worker, token);
	run(s);
	assert_int_equal(w.close_code, CLOSE_AUTH_FAILED);
	drop_frames(&w);
}

static void test_reapproval_keeps_the_worker(void **state)
{
	struct studio *s = *state;
	request_from(s, "p", SECRET);
	auto_free char *first = xstrdup(text("requestId"));
	decide(s, first, NULL);
	auto_free char *worker = xstrdup(text("workerId"));
	request_from(s, "p", "another secret");
	auto_free char *second = xstrdup(text("requestId"));
	assert_string_not_equal(first, second);
	decide(s, second, NULL);
	assert_string_equal(text("workerId"), worker);
}

static void test_wrong_secret_and_unknown_request(void **state)
{
	struct studio *s = *state;
	request_from(s, "p", SECRET);
	auto_free char *id = xstrdup(text("requestId"));
	assert_int_equal(poll_it(s, id, "wrong"), 401);
	assert_int_equal(poll_it(s, id, NULL), 401);
	assert_int_equal(poll_it(s, "rr-none", SECRET), 404);
	assert_int_equal(decide(s, "rr-none", NULL), 404);
	decide(s, id, NULL);
	assert_int_equal(poll_it(s, id, "wrong"), 401);
	assert_null(text("authToken"));
}

static void test_rejected(void **state)
{
	struct studio *s = *state;
	request_from(s, "p", SECRET);
	auto_free char *id = xstrdup(text("requestId"));
	assert_int_equal(decide(s, id, "not one of ours"), 200);
	assert_string_equal(text("status"), "rejected");
	assert_int_equal(poll_it(s, id, SECRET), 200);
	assert_string_equal(text("status"), "rejected");
	assert_string_equal(text("reason"), "not one of ours");
}

static void test_ten_a_minute(void **state)
{
	struct studio *s = *state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(request_from(s, "10.0.0.1", SECRET), 200);
	assert_int_equal(request_from(s, "10.0.0.1", SECRET), 429);
	assert_string_equal(text("error"), "rate_limited");
	assert_int_equal(request_from(s, "10.0.0.2", SECRET), 200);
	pass(s, 60000);
	assert_int_equal(request_from(s, "10.0.0.1", SECRET), 200);
	for (int i = 0; i < 10000; i++) { /* the table stays bounded */
		char peer[32];
		snprintf(peer, sizeof(peer), "p%d", i);
		admission_request(t.a, peer, "x", 1, answered, NULL);
	}
}

static void test_bad_bodies(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"installId\": 7}", "\xff"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		t.status = 0;
		admission_request(t.a, "p", bad[i], strlen(bad[i]), answered, NULL);
		assert_int_equal(t.status, 400);
	}
}

static void test_free_with_questions_under_way(void **state)
{
	struct studio *s = *state;
	struct secret sec = {0};
	secret_set(&sec, SECRET);
	request_from(s, "p", SECRET);
	auto_free char *id = xstrdup(text("requestId"));
	admission_poll(t.a, id, &sec, answered, NULL);
	admission_decide(t.a, id, NULL, answered, NULL);
	secret_clear(&sec);
}

#define ADMISSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ADMISSION(test_the_whole_way_in),
	    ADMISSION(test_reapproval_keeps_the_worker),
	    ADMISSION(test_wrong_secret_and_unknown_request),
	    ADMISSION(test_rejected),
	    ADMISSION(test_ten_a_minute),
	    ADMISSION(test_bad_bodies),
	    ADMISSION(test_free_with_questions_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
