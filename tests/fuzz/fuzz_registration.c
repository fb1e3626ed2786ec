/* fuzz_registration.c - the bodies of the registration exchanges, both ways; what decodes is
 * encoded and must decode again. SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/registration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(const struct err *e)
{
	if (!e->code || !e->text[0])
		__builtin_trap();
}

static void try_request(const char *text, size_t len)
{
	struct register_request *r = NULL, *again = NULL;
	struct err e = ERR_INIT;
	if (register_request_decode(text, len, &r, &e)) {
		told(&e);
		return;
	}
	char *out =
	    register_request_encode(r->install_id, r->secret_hash, r->capabilities, r->user_agent);
	if (register_request_decode(out, strlen(out), &again, &e))
		__builtin_trap();
	free(out);
	register_request_free(again);
	register_request_free(r);
}

static void try_answer(const char *text, size_t len)
{
	char *id = NULL, *again = NULL;
	struct err e = ERR_INIT;
	if (register_answer_decode(text, len, &id, &e)) {
		told(&e);
		return;
	}
	char *out = register_answer_encode(id);
	if (register_answer_decode(out, strlen(out), &again, &e) || strcmp(id, again) != 0)
		__builtin_trap();
	free(out);
	free(again);
	free(id);
}

static void try_poll(const char *text, size_t len)
{
	struct poll_answer a = {0}, again = {0};
	struct err e = ERR_INIT;
	if (poll_answer_decode(text, len, &a, &e)) {
		told(&e);
		return;
	}
	char *out = poll_answer_encode(&a);
	if (poll_answer_decode(out, strlen(out), &again, &e) || a.decision != again.decision)
		__builtin_trap();
	free(out);
	poll_answer_fini(&again);
	poll_answer_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request((const char *)data, size);
	try_answer((const char *)data, size);
	try_poll((const char *)data, size);
	return 0;
}
