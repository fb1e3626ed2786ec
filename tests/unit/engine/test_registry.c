/* test_registry.c - routing: strictly by name and kind, with the remedy in every refusal; finding
 * programs. SPDX-License-Identifier: MIT */
#include <math.h>
#include <sys/stat.h>

#include "tests/unit/engine/lab.h"
#include "lib/loop/output.h"
#include "worker/engine/program.h"

static void test_unknown_engine(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	assert_null(engines_route(lab->engines, "parakeet", KIND_STT, &e));
	assert_non_null(strstr(
	    e.text, "engine 'parakeet' is not part of this build (have: synthetic, espeak-ng, "));
	assert_non_null(strstr(e.text, "); install a build that has it"));
}

static void test_wrong_kind(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	assert_null(engines_route(lab->engines, "espeak-ng", KIND_IMAGE, &e));
	assert_non_null(strstr(e.text, "does not do image (it does: audio_tts)"));
}

static void test_routes(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	for (int k = 0; k < KIND_COUNT; k++)
		assert_non_null(engines_route(lab->engines, "synthetic", (enum kind)k, &e));
	assert_ptr_equal(engines_route(lab->engines, "espeak-ng", KIND_TTS, &e),
			 engines_at(lab->engines, 1));
}

static void test_advertises(void **state)
{
	struct lab *lab = *state;
	struct capabilities *c = capabilities_new();
	engines_advertise(lab->engines, c);
	assert_int_equal(c->kinds, KIND_BIT(KIND_COUNT) - 1);
	assert_true(string_set_has(&c->per_kind[KIND_IMAGE], "synthetic-image"));
	assert_true(string_set_has(&c->per_kind[KIND_VIDEO], "synthetic-video"));
	assert_false(string_set_has(&c->per_kind[KIND_LLM], "synthetic-image"));
	assert_true(string_set_has(&c->per_kind[KIND_TTS], "espeak-ng:*"));
	assert_true(string_set_has(&c->models, "synthetic"));
	capabilities_free(c);
}

/* A machine without the programs: nothing of theirs is advertised, and the refusal says what to
 * install. */
static void test_missing_programs(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	setenv("STUDIO_WORKER_FFMPEG", "/nonexistent/ffmpeg", 1);
	setenv("STUDIO_WORKER_ESPEAK_NG", "/nonexistent/espeak-ng", 1);
	struct engines *bare = engines_new(&lab->env);
	struct capabilities *c = capabilities_new();
	engines_advertise(bare, c);
	assert_int_equal(c->kinds, (KIND_BIT(KIND_COUNT) - 1) & ~KIND_BIT(KIND_VIDEO));
	assert_false(string_set_has(&c->models, "espeak-ng:*"));
	assert_null(engines_route(bare, "espeak-ng", KIND_TTS, &e));
	assert_non_null(strstr(e.text, "apt install espeak-ng"));
	assert_null(engines_route(bare, "synthetic", KIND_VIDEO, &e));
	assert_non_null(strstr(e.text, "apt install ffmpeg"));
	assert_non_null(engines_route(bare, "synthetic", KIND_TTS, &e));
	unsetenv("STUDIO_WORKER_FFMPEG");
	unsetenv("STUDIO_WORKER_ESPEAK_NG");
	capabilities_free(c);
	engines_free(bare);
}

static void put_program(const char *path, mode_t mode)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\necho tool 1.2.3\necho more\n", f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_program_find(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	auto_free char *bin = fs_join(lab->dir, "bin"), *tool = fs_join(bin, "a-tool"),
		       *other = fs_join(lab->dir, "other");
	assert_int_equal(fs_mkdirs(bin, 0700, &e), 0);
	assert_null(engine_program_find("a-tool", &lab->env));
	put_program(tool, 0600); /* not executable */
	assert_null(engine_program_find("a-tool", &lab->env));
	put_program(tool, 0700);
	auto_free char *found = engine_program_find("a-tool", &lab->env);
	assert_string_equal(found, tool);
	put_program(other, 0700);
	setenv("STUDIO_WORKER_A_TOOL", other, 1);
	auto_free char *given = engine_program_find("a-tool", &lab->env);
	assert_string_equal(given, other);
	unsetenv("STUDIO_WORKER_A_TOOL");
	char version[64];
	engine_program_version(tool, "--version", version, sizeof version);
	assert_string_equal(version, "tool 1.2.3");
}

/* The estimate is a studio's number. */
static void test_memory_bytes(void **state)
{
	(void)state;
	assert_int_equal(engine_memory_bytes(2.5), 5ull << 29);
	assert_int_equal(engine_memory_bytes(0), 0);
	assert_int_equal(engine_memory_bytes(-1), 0);
	assert_int_equal(engine_memory_bytes((double)NAN), 0);
	assert_int_equal(engine_memory_bytes(1e308), 1ull << 60);
	assert_int_equal(engine_memory_bytes((double)INFINITY), 1ull << 60);
}

static void test_info(void **state)
{
	struct lab *lab = *state;
	for (size_t i = 0; i < engines_count(lab->engines); i++) {
		struct engine_info info = {NULL, NULL, NULL};
		struct engine *e = engines_at(lab->engines, i);
		e->ops->info(e, true, &info);
		/* What is there has a version, what is not says how to get it. */
		assert_true(info.version || info.missing);
		if (i < 2) { /* synthetic, espeak-ng */
			assert_non_null(info.version);
			assert_null(info.missing);
		}
	}
}

static void test_output_is_bounded(void **state)
{
	struct lab *lab = *state;
	struct output o = {.log = &lab->log, .job_id = "job-1", .program = "tool"};
	lab->lines = 0;
	for (int i = 0; i < 1000; i++)
		output_line(&o, "chatter");
	assert_int_equal(lab->lines, OUTPUT_MAX_LINES + 1);
	assert_string_equal(lab->last_line,
			    "tool: more than 200 lines of output, the rest is left out");
}

int main(void)
{
#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
	    IN_LAB(test_unknown_engine),
	    IN_LAB(test_wrong_kind),
	    IN_LAB(test_routes),
	    IN_LAB(test_advertises),
	    IN_LAB(test_missing_programs),
	    IN_LAB(test_program_find),
	    cmocka_unit_test(test_memory_bytes),
	    IN_LAB(test_info),
	    IN_LAB(test_output_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
