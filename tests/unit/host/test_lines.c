/* test_lines.c - which line of an engine's output is its error, by what the real ones printed.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "worker/host/lines.h"

/* Lines begin with the descriptor they are written to. */
static void expect_words(const char *const *lines, const char *error, const char *words)
{
	struct lines_seen l = {0};
	for (; *lines; lines++)
		assert_true(lines_take(&l, 1000, **lines - '0', *lines + 1));
	assert_string_equal(lines_error(&l), error);
	assert_string_equal(lines_last_words(&l), words);
	lines_forget(&l);
	assert_string_equal(lines_error(&l), "");
	assert_string_equal(lines_last_words(&l), "");
}

static void expect(const char *const *lines, const char *error)
{
	expect_words(lines, error, error);
}

static void the_error_line_of_real_engines(void **state)
{
	(void)state;
	/* sd-cli without its model: the reason is on stderr, warnings before it on stdout. */
	expect(
	    (const char *const[]){
		"1[INFO ] stable-diffusion.cpp:720  - loading diffusion model from 'nope'",
		"1[WARN ] model_loader.cpp:254  - file nope.safetensors not found",
		"1[WARN ] stable-diffusion.cpp:722  - loading diffusion model from 'nope' failed",
		"1[INFO ] main.cpp:910  - new_sd_ctx_t failed",
		"2[ERROR] stable-diffusion.cpp:905  - get sd version from file failed: ''", NULL},
	    "[ERROR] stable-diffusion.cpp:905  - get sd version from file failed: ''");
	/* llama-server, which writes everything to stderr. */
	expect(
	    (const char *const[]){
		"20.00.003.112 I srv    load_model: loading model 'trunc.gguf'",
		"20.00.007.537 E llama_model_load: error loading model: tensor "
		"'token_embd.weight' data is not within the file bounds, model is corrupted",
		"20.00.007.551 E llama_model_load_from_file_impl: failed to load model",
		"20.00.007.690 E srv  llama_server: exiting due to model loading error", NULL},
	    "0.00.007.537 E llama_model_load: error loading model: tensor 'token_embd.weight' "
	    "data is not within the file bounds, model is corrupted");
	expect((const char *const[]){"2error: invalid argument: --bogus", NULL},
	       "error: invalid argument: --bogus");
	expect((const char *const[]){"2warming up", "2/src/ggml.c:12: GGML_ASSERT(a == b) failed",
				     NULL},
	       "/src/ggml.c:12: GGML_ASSERT(a == b) failed");
	/* A Python traceback. */
	expect((const char *const[]){"2Traceback (most recent call last):", "2  File \"x.py\"",
				     "2ValueError: bad model", NULL},
	       "ValueError: bad model");
}

static void the_next_best_when_no_word_of_error_falls(void **state)
{
	(void)state;
	expect_words((const char *const[]){"1hello", "2", "2first words", "2more words", NULL}, "",
		     "first words");
	expect((const char *const[]){"1hello", "1it failed", NULL}, "it failed");
	expect((const char *const[]){"1it failed", "2this was unable to", NULL},
	       "this was unable to");
	expect((const char *const[]){"1hello", NULL}, "");
	expect((const char *const[]){"2x", "2no such file", NULL}, "no such file");
	expect_words((const char *const[]){"2x", "2no errors, 0 prefailed, noerror", NULL}, "",
		     "x");
}

static void what_only_informs_is_no_error(void **state)
{
	(void)state;
	static const char llama[] = "0.00.003.112 I srv    load_model: loading model 'a.gguf'";
	expect_words(
	    (const char *const[]){"20.00.003.112 I srv    load_model: loading model 'a.gguf'",
				  "20.01.003.112 I srv  stop: cannot go on, failed: error: no",
				  "20.01.003.113 D srv  no such slot", NULL},
	    "", llama);
	expect((const char *const[]){"20.01.003.112 I srv  stop: error: no",
				     "20.01.003.113 W srv  the slot failed",
				     "20.01.003.114 E srv  slots are gone", NULL},
	       "0.01.003.114 E srv  slots are gone");
	expect_words((const char *const[]){"1[INFO ] main.cpp:9 - it failed",
					   "1[DEBUG] main.cpp:9 - error: none", NULL},
		     "", "");
	expect_words((const char *const[]){"2whisper_init_from_file_with_params_no_state: loading "
					   "model from 'tiny.bin'",
					   NULL},
		     "",
		     "whisper_init_from_file_with_params_no_state: loading model from 'tiny.bin'");
}

static void a_flood_is_cut_down_but_its_error_is_seen(void **state)
{
	(void)state;
	struct lines_seen l = {0};
	unsigned taken = 0;
	for (int i = 0; i < 10000; i++)
		taken += lines_take(&l, 5000, 1, "x");
	assert_int_equal(taken, LINES_WINDOW);
	assert_false(lines_take(&l, 5000 + LINES_WINDOW_MS - 1, 2, "[ERROR] why"));
	assert_true(lines_take(&l, 5000 + LINES_WINDOW_MS, 1, "x"));
	assert_string_equal(lines_error(&l), "[ERROR] why");
	lines_forget(&l);
}

static void only_the_start_of_a_line_is_looked_at(void **state)
{
	struct lines_seen l = {0};
	char line[4097];
	(void)state;
	memset(line, 'a', sizeof line - 1);
	memcpy(line + 4000, " failed ", 8);
	line[4096] = '\0';
	lines_take(&l, 0, 1, line);
	assert_string_equal(lines_error(&l), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_error_line_of_real_engines),
	    cmocka_unit_test(the_next_best_when_no_word_of_error_falls),
	    cmocka_unit_test(what_only_informs_is_no_error),
	    cmocka_unit_test(a_flood_is_cut_down_but_its_error_is_seen),
	    cmocka_unit_test(only_the_start_of_a_line_is_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
