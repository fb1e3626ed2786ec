/* test_task.c - tasks of every kind, their defaults and limits, and model sources.
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

static int decode(const char *text, struct task **t, struct err *e)
{
	json_t *json = json_parse(text, strlen(text), e);
	if (!json)
		fail_msg("%s: %s", text, e->text);
	int rc = task_decode(json, t, e);
	json_decref(json);
	return rc;
}

static struct task *task(const char *text)
{
	struct task *t = NULL;
	struct err e = ERR_INIT;
	if (decode(text, &t, &e))
		fail_msg("%s: %s", text, e.text);
	return t;
}

static void defaults(void **state)
{
	(void)state;
	struct task *t = task("{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":null}");
	assert_true(t->known && t->kind == KIND_IMAGE);
	assert_int_equal(t->image.width, 512);
	assert_int_equal(t->image.height, 512);
	assert_int_equal(t->image.steps, 20);
	assert_string_equal(t->image.ext, "webp");
	assert_false(t->image.has_seed || t->image.has_denoise || t->image.has_cfg_scale);
	assert_string_equal(task_prompt(t), "p");
	task_free(t);

	t = task("{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
		 "{\"role\":\"user\",\"content\":\"b\"}],\"stop\":[\"x\"],\"reasoning\":null}");
	assert_int_equal(t->llm.max_tokens, 512);
	assert_true(t->llm.temperature == 0.7);
	assert_int_equal(t->llm.n_messages, 2);
	assert_int_equal(t->llm.n_stop, 1);
	assert_null(t->llm.reasoning);
	assert_string_equal(task_prompt(t), "b");
	task_free(t);

	t = task("{\"kind\":\"audio_stt\",\"inputUrl\":\"u\",\"vad\":false}");
	assert_string_equal(task_prompt(t), "u");
	assert_true(t->stt.has_vad && !t->stt.vad);
	task_free(t);

	t = task("{\"kind\":\"audio_tts\",\"text\":\"hi\"}");
	assert_string_equal(t->tts.voice, "default");
	assert_string_equal(t->tts.ext, "wav");
	assert_string_equal(task_prompt(t), "hi");
	task_free(t);

	t = task("{\"kind\":\"video\",\"prompt\":\"p\"}");
	assert_true(t->video.seconds == 2.0 && !t->video.has_fps);
	assert_string_equal(t->video.ext, "mp4");
	task_free(t);
}

static void unknown_kind(void **state)
{
	(void)state;
	struct task *t = task("{\"kind\":\"hologram\",\"prompt\":1}");
	struct err e = ERR_INIT;
	assert_false(t->known);
	assert_string_equal(t->kind_text, "hologram");
	assert_string_equal(task_prompt(t), "");
	assert_int_equal(task_validate(t, &e), -EINVAL);
	task_free(t);
}

static void seeds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t seed;
	} rows[] = {
	    {"0", 0},
	    {"9007199254740993", 9007199254740993},
	    {"9223372036854775807", INT64_MAX},
	    {"9223372036854775808", UINT64_C(1) << 63},
	    {"18446744073709551615", UINT64_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *text =
		    xasprintf("{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":%s}", rows[i].text);
		struct task *t = task(text);
		assert_true(t->image.has_seed && t->image.seed == rows[i].seed);
		struct err e = ERR_INIT;
		assert_int_equal(task_validate(t, &e), rows[i].seed > INT64_MAX ? -EINVAL : 0);
		task_free(t);
	}
}

static void bad_tasks(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"[]", "object"},
	    {"{}", "kind is missing"},
	    {"{\"kind\":7}", "kind"},
	    {"{\"kind\":\"image\"}", "prompt"},
	    {"{\"kind\":\"image\",\"prompt\":null}", "prompt is missing"},
	    {"{\"kind\":\"image\",\"prompt\":[]}", "prompt"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"width\":1e300}", "width"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"width\":-1}", "width"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"width\":1.5}", "width"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"width\":\"512\"}", "width"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"height\":99999999999999999999}", "height"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"denoise\":1e300}", "denoise"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":-1}", "seed"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":1.5}", "seed"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":18446744073709555712}", "seed"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"seed\":\"1\"}", "seed"},
	    {"{\"kind\":\"llm\"}", "messages"},
	    {"{\"kind\":\"llm\",\"messages\":[]}", "messages is empty"},
	    {"{\"kind\":\"llm\",\"messages\":{}}", "messages"},
	    {"{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\"}]}", "content"},
	    {"{\"kind\":\"llm\",\"messages\":[1]}", "messages"},
	    {"{\"kind\":\"llm\",\"messages\":[{\"role\":\"u\",\"content\":\"c\"}],\"stop\":\"x\"}",
	     "stop"},
	    {"{\"kind\":\"audio_stt\"}", "inputUrl"},
	    {"{\"kind\":\"audio_stt\",\"inputUrl\":\"u\",\"timestamps\":\"x\"}", "timestamps"},
	    {"{\"kind\":\"audio_stt\",\"inputUrl\":\"u\",\"translate\":1}", "translate"},
	    {"{\"kind\":\"audio_tts\"}", "text"},
	    {"{\"kind\":\"video\",\"prompt\":\"p\",\"seconds\":-2}", "seconds"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct task *t = NULL;
		struct err e = ERR_INIT;
		int rc = decode(rows[i].text, &t, &e);
		if (rc != -EPROTO || !strstr(e.text, rows[i].says))
			fail_msg("%s: %d %s", rows[i].text, rc, e.text);
		assert_null(t);
	}
}

static void invalid_tasks(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says; /* NULL: valid */
	} rows[] = {
	    {"{\"kind\":\"image\",\"prompt\":\"p\"}", NULL},
	    {"{\"kind\":\"image\",\"prompt\":\"\"}", "prompt"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"width\":0}", "width"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"height\":100000}", "height"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"steps\":0}", "steps"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"denoise\":2}", "denoise"},
	    {"{\"kind\":\"image\",\"prompt\":\"p\",\"ext\":\"exe\"}", "webp, png"},
	    {"{\"kind\":\"llm\",\"messages\":[{\"role\":\"u\",\"content\":\"c\"}],\"topP\":3}",
	     "topP"},
	    {"{\"kind\":\"audio_tts\",\"text\":\"t\",\"speed\":0}", "speed"},
	    {"{\"kind\":\"audio_tts\",\"text\":\"t\",\"ext\":\"mp4\"}", "ext"},
	    {"{\"kind\":\"audio_stt\",\"inputUrl\":\"\"}", "inputUrl"},
	    {"{\"kind\":\"video\",\"prompt\":\"p\",\"fps\":0}", "fps"},
	    {"{\"kind\":\"video\",\"prompt\":\"p\",\"seconds\":0}", "seconds"},
	    {"{\"kind\":\"video\",\"prompt\":\"p\",\"ext\":\"webm\"}", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct task *t = task(rows[i].text);
		struct err e = ERR_INIT;
		int rc = task_validate(t, &e);
		if (rows[i].says ? rc != -EINVAL || !strstr(e.text, rows[i].says) : rc != 0)
			fail_msg("%s: %d %s", rows[i].text, rc, e.text);
		task_free(t);
	}
}

static void long_prompt(void **state)
{
	(void)state;
	json_t *json = json_pack("{s:s}", "kind", "image");
	auto_free char *text = xmalloc((1u << 20) + 2);
	memset(text, 'x', (1u << 20) + 1);
	text[(1u << 20) + 1] = '\0';
	json_object_set_new(json, "prompt", json_string(text));
	struct task *t = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(task_decode(json, &t, &e), -EPROTO);
	text[1u << 20] = '\0';
	json_object_set_new(json, "prompt", json_string(text));
	assert_int_equal(task_decode(json, &t, &e), 0);
	task_free(t);
	json_decref(json);
}

static int source(const char *file_fields, struct source **s, struct err *e)
{
	auto_free char *text = xasprintf("{\"engine\":\"new-one\",\"files\":[{\"role\":\"model\","
					 "\"url\":\"https://x/y\"%s}]}",
					 file_fields);
	json_t *json = json_parse(text, strlen(text), e);
	if (!json)
		fail_msg("%s: %s", text, e->text);
	int rc = source_decode(json, s, e);
	json_decref(json);
	return rc;
}

static void sources(void **state)
{
	(void)state;
	struct source *s = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(source(",\"filename\":\"a.gguf\",\"approxBytes\":5000000000,"
				"\"sha256\":\"ABCDEF0123456789abcdef0123456789abcdef0123456789abcd"
				"ef0123456789\"",
				&s, &e),
			 0);
	assert_string_equal(s->engine, "new-one");
	assert_int_equal(s->n_files, 1);
	assert_int_equal(s->files[0].approx_bytes, 5000000000);
	assert_int_equal(strncmp(s->files[0].sha256, "abcdef01", 8), 0);
	assert_true(json_is_object(s->cli_defaults));
	source_free(s);

	static const char *const bad[] = {
	    "",
	    ",\"filename\":\"\"",
	    ",\"filename\":\"../x\"",
	    ",\"filename\":\"a/b\"",
	    ",\"filename\":\"a\\\\b\"",
	    ",\"filename\":\".hidden\"",
	    ",\"filename\":\"a\\nb\"",
	    ",\"filename\":\"a\",\"sha256\":\"12\"",
	    ",\"filename\":\"a\",\"sha256\":\"zz\"",
	    ",\"filename\":\"a\",\"approxBytes\":-1",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s = NULL;
		if (source(bad[i], &s, &e) != -EPROTO)
			fail_msg("accepted: %s", bad[i]);
		assert_null(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),	     cmocka_unit_test(unknown_kind),
	    cmocka_unit_test(seeds),	     cmocka_unit_test(bad_tasks),
	    cmocka_unit_test(invalid_tasks), cmocka_unit_test(long_prompt),
	    cmocka_unit_test(sources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
