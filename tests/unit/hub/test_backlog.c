/* test_backlog.c - the hub's memory of queued jobs against a naive one.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "studio/hub/backlog.h"

#define JOBS   200
#define MODELS 5

struct naive {
	bool there[JOBS], taken[JOBS], skipped[JOBS];
	bool fits[MODELS];
};

static int number(const char *text)
{
	return atoi(text + 2);
}

static bool fits(const void *arg, const struct shape *s)
{
	const struct naive *n = arg;
	assert_true(s->kind_known && s->kind == KIND_LLM);
	assert_string_equal(s->engine, "synthetic");
	return n->fits[number(s->model)];
}

static bool skipped(const void *arg, const char *job_id)
{
	return ((const struct naive *)arg)->skipped[number(job_id)];
}

static void add(struct backlog *b, int i)
{
	char id[16], model[16];
	json_t *source = json_pack("{s:s}", "engine", "synthetic");
	snprintf(id, sizeof(id), "j-%d", i);
	snprintf(model, sizeof(model), "m-%d", i % MODELS);
	struct job_record j = {
	    .seq = i + 1,
	    .id = id,
	    .model = model,
	    .kind = (char *)(uintptr_t) "llm",
	    .source = source,
	};
	backlog_add(b, &j);
	json_decref(source);
}

static int expected(const struct naive *n)
{
	for (int i = 0; i < JOBS; i++) {
		if (n->there[i] && !n->taken[i] && !n->skipped[i] && n->fits[i % MODELS])
			return i;
	}
	return -1;
}

static void change(struct backlog *b, struct naive *n, struct rng *r)
{
	int i = (int)rng_below(r, JOBS);
	char id[16];
	snprintf(id, sizeof(id), "j-%d", i);
	switch (rng_below(r, 5)) {
	case 0:
	case 1:
		add(b, i); /* also when it is there already */
		n->there[i] = true;
		break;
	case 2:
		backlog_remove(b, id);
		n->there[i] = n->taken[i] = false;
		break;
	case 3:
		backlog_take(b, id, !n->taken[i]);
		n->taken[i] = n->there[i] && !n->taken[i];
		break;
	default:
		n->skipped[i] = !n->skipped[i];
		n->fits[i % MODELS] = rng_below(r, 2);
		break;
	}
}

static void test_like_a_naive_one(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct rng r;
		struct backlog b = {0};
		struct naive n = {0};
		rng_init_seeded(&r, seed);
		for (int step = 0; step < 1000; step++) {
			change(&b, &n, &r);
			struct backlog_job *j = backlog_oldest(&b, fits, skipped, &n);
			assert_int_equal(j ? number(j->id) : -1, expected(&n));
		}
		backlog_fini(&b);
	}
}

static void test_odd_jobs(void **state)
{
	struct backlog b = {0};
	struct job_record j = {.id = (char *)(uintptr_t) "x"};
	(void)state;
	struct backlog_job *e = backlog_add(&b, &j);
	assert_false(e->shape->kind_known);
	assert_string_equal(e->shape->engine, "");
	backlog_remove(&b, "not there");
	backlog_take(&b, "not there", true);
	backlog_remove(&b, "x");
	assert_null(b.shapes);
	backlog_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_like_a_naive_one),
	    cmocka_unit_test(test_odd_jobs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
