/* test_registration_wire.c - the bodies of the registration exchanges.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/registration.h"

#define UUID "6f1f4a8e-9c3b-4d2a-8e11-0123456789ab"
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void request(void **state)
{
	(void)state;
	struct capabilities *c = capabilities_new();
	capabilities_add_model(c, KIND_TTS, "v");
	auto_free char *text = register_request_encode(UUID, HASH, c, "studio-worker/1");
	capabilities_free(c);
	struct register_request *r = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(register_request_decode(text, strlen(text), &r, &e), 0);
	assert_string_equal(r->install_id, UUID);
	assert_string_equal(r->secret_hash, HASH);
	assert_string_equal(r->user_agent, "studio-worker/1");
	assert_true(string_set_has(&r->capabilities->models, "v"));
	assert_true(json_is_object(r->capabilities_json));
	register_request_free(r);

	static const char *const bad[] = {
	    "[]",
	    "{}",
	    "{\"installId\":\"x\",\"registrationSecretHash\":\"" HASH "\",\"capabilities\":{}}",
	    "{\"installId\":\"" UUID "\",\"registrationSecretHash\":\"12\",\"capabilities\":{}}",
	    "{\"installId\":\"" UUID "\",\"registrationSecretHash\":\"" HASH "\"}",
	    "{\"installId\":\"" UUID "\",\"registrationSecretHash\":\"" HASH
	    "\",\"capabilities\":{}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r = NULL;
		assert_int_equal(register_request_decode(bad[i], strlen(bad[i]), &r, &e), -EPROTO);
		assert_null(r);
	}
}

static void answer(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	auto_free char *text = register_answer_encode("rr-1");
	auto_free char *id = NULL;
	assert_int_equal(register_answer_decode(text, strlen(text), &id, &e), 0);
	assert_string_equal(id, "rr-1");
	char *none = NULL;
	assert_int_equal(register_answer_decode("{\"requestId\":\"\"}", 16, &none, &e), -EPROTO);
	assert_int_equal(register_answer_decode("{\"requestId\":1}", 15, &none, &e), -EPROTO);
	assert_null(none);
}

static void poll_round(const struct poll_answer *in)
{
	struct poll_answer out;
	struct err e = ERR_INIT;
	auto_free char *text = poll_answer_encode(in);
	assert_int_equal(poll_answer_decode(text, strlen(text), &out, &e), 0);
	assert_int_equal(out.decision, in->decision);
	if (in->worker_id) {
		assert_string_equal(out.worker_id, in->worker_id);
		assert_true(secret_equal(&out.auth_token, &in->auth_token));
	}
	if (in->reason)
		assert_string_equal(out.reason, in->reason);
	poll_answer_fini(&out);
}

static void polls(void **state)
{
	(void)state;
	poll_round(&(struct poll_answer){.decision = DECISION_PENDING});
	struct poll_answer yes = {.decision = DECISION_APPROVED, .worker_id = xstrdup("w")};
	secret_set(&yes.auth_token, "t");
	poll_round(&yes);
	poll_answer_fini(&yes);
	struct poll_answer no = {.decision = DECISION_REJECTED, .reason = xstrdup("because")};
	poll_round(&no);
	poll_answer_fini(&no);

	static const char *const bad[] = {
	    "{}",
	    "{\"status\":\"maybe\"}",
	    "{\"status\":\"approved\"}",
	    "{\"status\":\"approved\",\"workerId\":\"w\"}",
	    "{\"status\":\"approved\",\"workerId\":\"\",\"authToken\":\"t\"}",
	    "{\"status\":\"approved\",\"workerId\":\"w\",\"authToken\":5}",
	    "{\"status\":\"approved\",\"workerId\":\"w\",\"authToken\":\"a\\r\\nb\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct poll_answer out;
		struct err e = ERR_INIT;
		assert_int_equal(poll_answer_decode(bad[i], strlen(bad[i]), &out, &e), -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(request),
	    cmocka_unit_test(answer),
	    cmocka_unit_test(polls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
