/* test_models.c - the model registry: what is accepted, and the seeds.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "studio/registry/models.h"

#define SOURCE "{\"engine\":\"sd-cpp\",\"files\":[]}"

static void refusals(void **state)
{
	static const struct {
		const char *id, *body, *names;
	} cases[] = {
	    {"m", "[]", "JSON object"},
	    {"a b", "{\"kind\":\"image\",\"modelSource\":" SOURCE "}", "id:"},
	    {"", "{\"kind\":\"image\",\"modelSource\":" SOURCE "}", "id:"},
	    {"m", "{\"id\":\"other\",\"kind\":\"image\",\"modelSource\":" SOURCE "}", "id:"},
	    {"m", "{\"modelSource\":" SOURCE "}", "kind:"},
	    {"m", "{\"kind\":\"smell\",\"modelSource\":" SOURCE "}", "kind:"},
	    {"m", "{\"kind\":\"image\"}", "modelSource:"},
	    {"m", "{\"kind\":\"image\",\"modelSource\":{\"engine\":5}}", "modelSource.engine"},
	    {"m", "{\"kind\":\"image\",\"modelSource\":" SOURCE ",\"enabled\":1}", "enabled:"},
	    {"m", "{\"kind\":\"image\",\"modelSource\":" SOURCE ",\"vramGbEstimate\":-2}",
	     "vramGbEstimate:"},
	    {"m", "{\"kind\":\"image\",\"modelSource\":" SOURCE ",\"defaults\":[]}", "defaults:"},
	    {"m", "{\"kind\":\"image\",\"modelSource\":" SOURCE ",\"color\":1}", "color:"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *json = json_loads(cases[i].body, 0, NULL);
		struct model_record m;
		struct err e = ERR_INIT;
		assert_non_null(json);
		assert_int_equal(model_decode(cases[i].id, json, &m, &e), -EINVAL);
		if (!strstr(e.text, cases[i].names))
			fail_msg("%s: \"%s\" does not name %s", cases[i].body, e.text,
				 cases[i].names);
		json_decref(json);
	}
}

static void round_trip(void **state)
{
	json_t *in =
	    json_loads("{\"id\":\"m\",\"kind\":\"video\",\"enabled\":false,\"vramGbEstimate\":1.5,"
		       "\"modelSource\":" SOURCE ",\"defaults\":{\"fps\":8}}",
		       0, NULL);
	struct model_record m;
	struct err e = ERR_INIT;
	json_t *out;

	(void)state;
	assert_int_equal(model_decode("m", in, &m, &e), 0);
	out = model_encode(&m);
	assert_true(json_equal(in, out));
	json_decref(in);
	json_decref(out);
	model_record_fini(&m);
}

struct seen {
	size_t n;
	bool espeak, changed_kept;
};

static void count(void *arg, const struct storage_reply *r)
{
	struct seen *seen = arg;

	assert_int_equal(r->err->code, 0);
	seen->n = r->n;
	for (size_t i = 0; i < r->n; i++) {
		seen->espeak |= strcmp(r->models[i].id, "espeak-en") == 0;
		if (strcmp(r->models[i].id, "synthetic-llm") == 0)
			seen->changed_kept = !r->models[i].enabled;
	}
}

static void ignore(void *arg, const struct storage_reply *r)
{
	(void)arg;
	assert_int_equal(r->err->code, 0);
}

static void run_clock(struct clock *clock)
{
	while (clock_next(clock) != UINT64_MAX) {
		clock_set(clock, clock_now(clock) + clock_next(clock), 0);
		clock_run(clock);
	}
}

static void seeds(void **state)
{
	struct clock clock;
	struct log log;
	struct null_world *world = null_world_new();
	struct storage *s;
	struct seen seen = {0};
	struct seeding seeding;
	struct model_record mine = {
	    .id = xstrdup("synthetic-llm"), .kind = xstrdup("llm"), .source = json_object()};

	(void)state;
	clock_init(&clock);
	log_init(&log, &clock);
	s = storage_null_open(world, &clock, NULL, NULL);
	s->ops->model_put(s, &mine, ignore, NULL);
	run_clock(&clock);
	seeding = (struct seeding){s, &log};
	models_seed(&seeding);
	run_clock(&clock);
	s->ops->model_list(s, count, &seen);
	run_clock(&clock);
	assert_int_equal(seen.n, 7);
	assert_true(seen.espeak);
	assert_true(seen.changed_kept);
	s->ops->close(s);
	null_world_free(world);
	model_record_fini(&mine);
	clock_fini(&clock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
