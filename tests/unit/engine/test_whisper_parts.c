/* test_whisper_parts.c - engine `whisper-cpp` without a server: languages, files, patience,
 * progress lines, answers. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "worker/engine/whisper-cpp/answer.h"
#include "worker/engine/whisper-cpp/language.h"
#include "worker/engine/whisper-cpp/plan.h"

static void test_languages(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
	    {"de", "de"},	  {"German", "de"},
	    {"DE", "de"},	  {"de-AT", "de"},
	    {"zh_Hans", "zh"},	  {"yue", "yue"},
	    {"cantonese", "yue"}, {"nb", "no"},
	    {"flemish", "nl"},	  {"haitian creole", "ht"},
	    {"fil-PH", "tl"},	  {"auto", "auto"},
	    {"Auto", "auto"},	  {"", "auto"},
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		assert_string_equal(language_code(pairs[i][0]), pairs[i][1]);
	assert_string_equal(language_code(NULL), "auto");
	static const char *const unknown[] = {"klingon", "xx",	"e",   "german-de", "english_x",
					      "-",	 "-de", "deu", "de de",	    "--translate"};
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_null(language_code(unknown[i]));
	assert_true(language_unspaced("ja"));
	assert_false(language_unspaced("de"));
}

/* ---- plans ---- */

#define MODEL(name) "{\"role\":\"model\",\"url\":\"https://h/x\",\"filename\":\"" name "\"}"

static int plan(struct plan *p, const char *files, const struct task_stt *t, struct err *e)
{
	auto_free char *text = xasprintf("{\"engine\":\"whisper-cpp\",\"files\":[%s]}", files);
	json_t *json = json_parse(text, strlen(text), e);
	struct source *s;
	*e = (struct err)ERR_INIT;
	assert_int_equal(source_decode(json, &s, e), 0);
	json_decref(json);
	int rc = plan_make(p, t, s, e);
	source_free(s);
	return rc;
}

static void refused(const char *files, struct task_stt t, const char *words)
{
	struct plan p;
	struct err e;
	assert_int_equal(plan(&p, files, &t, &e), -EINVAL);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void test_plan(void **state)
{
	struct plan p;
	struct err e;
	(void)state;
	struct task_stt all = {.language = text("German"),
			       .translate = true,
			       .vad = true,
			       .has_vad = true,
			       .timestamps = text("word")};
	assert_int_equal(
	    plan(&p, MODEL("ggml-silero-v5.1.2.bin") "," MODEL("ggml-base.bin"), &all, &e), 0);
	assert_string_equal(p.language, "de");
	assert_true(p.translate && p.vad && p.words && !p.english_only);
	assert_int_equal(p.model, 1);
	assert_int_equal(p.vad_model, 0);
	struct task_stt plain = {.timestamps = text("segment")};
	assert_int_equal(plan(&p, MODEL("ggml-small.en-q5_1.bin"), &plain, &e), 0);
	assert_true(p.english_only && !p.words && !p.vad);
	assert_string_equal(p.language, "auto");
	assert_true(p.vad_model == SIZE_MAX);
}

static void test_plan_refuses(void **state)
{
	(void)state;
	struct task_stt none = {0}, vad = {.vad = true, .has_vad = true};
	struct task_stt klingon = {.language = text("klingon")}, german = {.language = text("de")};
	char *prompt = xmalloc(PLAN_MAX_PROMPT + 2);
	memset(prompt, 'a', PLAN_MAX_PROMPT + 1);
	prompt[PLAN_MAX_PROMPT + 1] = '\0';
	struct task_stt wordy = {.prompt = prompt};
	refused("", none, "no file of role 'model'");
	refused(MODEL("silero.bin"), none, "no file of role 'model'");
	refused(MODEL("a.bin") "," MODEL("b.bin"), none, "two files could be the model");
	refused(MODEL("a-vad.bin") "," MODEL("silero.bin"), none, "the VAD model");
	refused("{\"role\":\"lora\",\"url\":\"https://h/x\",\"filename\":\"x\"}", none,
		"not 'lora'");
	refused(MODEL("a.bin"), vad, "needs a model of its own");
	refused(MODEL("a.bin"), klingon, "does not know the language 'klingon'");
	refused(MODEL("ggml-base.en.bin"), german, "English only");
	refused(MODEL("a.bin"), wordy, "4097 bytes");
	free(prompt);
}

static void test_patience(void **state)
{
	(void)state;
	struct patience tiny = plan_patience(75000000, 10), hour = plan_patience(75000000, 3600);
	struct patience large = plan_patience(3000000000, 10);
	assert_int_equal(tiny.silence_ms, 120000);
	assert_int_equal(tiny.total_ms, 180000);
	/* Progress comes every 3 minutes of it: six windows. */
	assert_int_equal(hour.silence_ms, 7 * 60000);
	assert_int_equal(hour.total_ms, 122 * 60000);
	assert_int_equal(large.silence_ms, 2 * 1230000);
}

static void test_progress(void **state)
{
	(void)state;
	assert_float_equal(plan_progress("whisper_print_progress_callback: progress =   5%"), 0.05,
			   1e-9);
	assert_float_equal(plan_progress("whisper_print_progress_callback: progress = 714%"), 1, 0);
	static const char *const others[] = {"",
					     "progress = ",
					     "progress = -5%",
					     "progress = 5",
					     "progress = x%",
					     "whisper_vad: VAD is enabled"};
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_true(plan_progress(others[i]) < 0);
}

/* ---- answers ---- */

static json_t *read_answer(const char *answer, const char *language, bool words, struct err *e)
{
	bool dropped;
	*e = (struct err)ERR_INIT;
	return answer_read(answer, strlen(answer), language, 2.5, words, &dropped, e);
}

static void reads(const char *answer, const char *language, bool words, const char *want)
{
	struct err e;
	json_t *result = read_answer(answer, language, words, &e);
	if (!result)
		fail_msg("%s", e.text);
	char *got = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
	assert_string_equal(got, want);
	free(got);
	json_decref(result);
}

#define ENGLISH                                                                                    \
	"{\"task\":\"transcribe\",\"language\":\"english\",\"duration\":2.5,\"text\":\" And "      \
	"so\\n, "                                                                                  \
	"my friends.\\n\",\"segments\":[{\"id\":0,\"text\":\" And so\",\"start\":0.0,\"end\":1.0," \
	"\"words\":[{\"word\":\" And\",\"start\":0.1,\"end\":0.4},{\"word\":\" "                   \
	"so\",\"start\":0.4,"                                                                      \
	"\"end\":1.0}]},{\"id\":1,\"text\":\", my "                                                \
	"friends.\",\"start\":1.0,\"end\":2.40001,\"words\":"                                      \
	"[{\"word\":\",\",\"start\":1.0,\"end\":1.1},{\"word\":\" "                                \
	"my\",\"start\":1.1,\"end\":1.5},"                                                         \
	"{\"word\":\" "                                                                            \
	"fri\",\"start\":1.5,\"end\":2.0},{\"word\":\"ends\",\"start\":2.0,\"end\":2.3},"          \
	"{\"word\":\".\",\"start\":2.3,\"end\":2.4}]}]}"

static void test_answer(void **state)
{
	(void)state;
	reads(ENGLISH, "auto", false,
	      "{\"duration\":2.5,\"language\":\"en\",\"segments\":[{\"end\":1.0,\"start\":0.0,"
	      "\"text\":\"And so\"},{\"end\":2.4,\"start\":1.0,\"text\":\", my friends.\"}],"
	      "\"text\":\"And so, my friends.\"}");
	/* Tokens become words, and a word never goes over the end of a segment. */
	reads(
	    ENGLISH, "en", true,
	    "{\"duration\":2.5,\"language\":\"en\",\"segments\":[{\"end\":1.0,\"start\":0.0,"
	    "\"text\":\"And so\",\"words\":[{\"end\":0.4,\"start\":0.1,\"word\":\"And\"},"
	    "{\"end\":1.0,\"start\":0.4,\"word\":\"so\"}]},{\"end\":2.4,\"start\":1.0,\"text\":\", "
	    "my friends.\",\"words\":[{\"end\":1.1,\"start\":1.0,\"word\":\",\"},{\"end\":1.5,"
	    "\"start\":1.1,\"word\":\"my\"},{\"end\":2.4,\"start\":1.5,\"word\":\"friends.\"}]}],"
	    "\"text\":\"And so, my friends.\"}");
	reads("{\"language\":\"japanese\",\"text\":\"\",\"segments\":[{\"text\":"
	      "\"\xe6\x97\xa5\xe6\x9c\xac\",\"start\":0,"
	      "\"end\":1,\"words\":[{\"word\":\"\xe6\x97\xa5\",\"start\":0,\"end\":0.5},{\"word\":"
	      "\"\xe6\x9c\xac\","
	      "\"start\":0.5,\"end\":1}]}]}",
	      "auto", true,
	      "{\"duration\":2.5,\"language\":\"ja\",\"segments\":[{\"end\":1.0,\"start\":0.0,"
	      "\"text\":"
	      "\"\xe6\x97\xa5\xe6\x9c\xac\",\"words\":[{\"end\":0.5,\"start\":0.0,\"word\":"
	      "\"\xe6\x97\xa5\"},"
	      "{\"end\":1.0,\"start\":0.5,\"word\":\"\xe6\x9c\xac\"}]}],\"text\":"
	      "\"\xe6\x97\xa5\xe6\x9c\xac\"}");
	/* As captured: no speech at all. */
	reads("{\"task\":\"transcribe\",\"language\":\"english\",\"duration\":2.153749942779541,"
	      "\"text\":\"\",\"segments\":[]}",
	      "auto", false,
	      "{\"duration\":2.5,\"language\":\"en\",\"segments\":[],\"text\":\"\"}");
}

static void test_answer_hostile(void **state)
{
	(void)state;
	struct err e;
	static const char *const garbage[] = {
	    "",
	    "\xff{]",
	    "[]",
	    "{}",
	    "null",
	    "{\"text\":\"x\"}",
	    "\"x\"",
	    "{\"segments\":[{\"start\":1}]}",
	    "{\"segments\":{}}",
	    "{\"segments\":[7]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		assert_null(read_answer(garbage[i], "auto", true, &e));
		assert_int_equal(e.code, EPROTO);
	}
	reads(
	    "{\"language\":\"martian\",\"segments\":[{\"text\":\"a\\u0007b\",\"start\":-1,\"end\":"
	    "\"x\","
	    "\"words\":[7,{\"word\":8},{\"word\":\"\"}]}]}",
	    "auto", true,
	    "{\"duration\":2.5,\"language\":\"\",\"segments\":[{\"end\":0.0,\"start\":0.0,\"text\":"
	    "\"a b\"}],\"text\":\"a b\"}");
}

/* More than a frame holds: first the words go, then segments; a text that does not fit is an error.
 */
static void test_answer_huge(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf b;
	bool dropped;
	buf_init(&b, ANSWER_MAX_BYTES);
	assert_true(buf_printf(&b, "{\"language\":\"english\",\"segments\":["));
	for (int i = 0; i < 40000; i++)
		assert_true(buf_printf(&b,
				       "%s{\"text\":\" tick\",\"start\":%d,\"end\":%d,\"words\":[{"
				       "\"word\":\" tick\",\"start\":%d,\"end\":%d}]}",
				       i ? "," : "", i, i + 1, i, i + 1));
	assert_true(buf_printf(&b, "]}"));
	json_t *result = answer_read(b.data, b.len, "en", 40000, true, &dropped, &e);
	assert_non_null(result);
	assert_true(dropped);
	assert_int_equal(strlen(json_string_value(json_object_get(result, "text"))), 5 * 40000 - 1);
	assert_true(json_dumpb(result, NULL, 0, JSON_COMPACT) < 3 << 20);
	json_decref(result);
	buf_reset(&b);
	assert_true(buf_printf(&b, "{\"segments\":[{\"text\":\""));
	for (int i = 0; i < 300000; i++)
		assert_true(buf_add(&b, "word ", 5));
	assert_true(buf_printf(&b, "\"}]}"));
	assert_null(answer_read(b.data, b.len, "en", 1, false, &dropped, &e));
	assert_int_equal(e.code, EFBIG);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_languages),	   cmocka_unit_test(test_plan),
	    cmocka_unit_test(test_plan_refuses),   cmocka_unit_test(test_patience),
	    cmocka_unit_test(test_progress),	   cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_answer_hostile), cmocka_unit_test(test_answer_huge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
