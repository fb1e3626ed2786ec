/* test_job_json.c - what the front door accepts as a job, and how it names what is wrong.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "studio/api/job_json.h"
#include "studio/registry/models.h"

#define SOURCE "{\"engine\":\"synthetic\",\"files\":[],\"cliDefaults\":{}}"

static struct model_record model_of(const char *text)
{
	struct err e = ERR_INIT;
	struct model_record m;
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	assert_int_equal(model_decode("m", json, &m, &e), 0);
	json_decref(json);
	return m;
}

static int decode(const char *text, const struct model_record *m, struct job_record *job,
		  struct err *e)
{
	json_t *json = json_loads(text, 0, NULL);
	int rc;

	assert_non_null(json);
	rc = job_decode(json, m, job, e);
	json_decref(json);
	return rc;
}

static void fill_from_model(void **state)
{
	struct model_record m =
	    model_of("{\"kind\":\"image\",\"vramGbEstimate\":6.5,\"modelSource\":" SOURCE
		     ",\"defaults\":{\"width\":256,\"ext\":\"png\"}}");
	struct job_record job;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
	    decode("{\"model\":\"m\",\"task\":{\"prompt\":\"p\",\"ext\":\"webp\"}}", &m, &job, &e),
	    0);
	assert_string_equal(job.kind, "image");
	assert_string_equal(job.game_id, "default");
	assert_string_equal(job.asset_name, "m");
	assert_true(job.vram_gb_estimate > 6.4 && job.vram_gb_estimate < 6.6);
	assert_string_equal(json_string_value(json_object_get(job.task, "kind")), "image");
	assert_int_equal(json_integer_value(json_object_get(job.task, "width")), 256);
	assert_string_equal(json_string_value(json_object_get(job.task, "ext")), "webp");
	assert_string_equal(json_string_value(json_object_get(job.source, "engine")), "synthetic");
	job_record_fini(&job);
	model_record_fini(&m);
}

static void own_source(void **state)
{
	struct job_record job;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
	    decode(
		"{\"model\":\"new\",\"gameId\":\"g\",\"assetName\":\"a\",\"vramGbEstimate\":3,"
		"\"task\":{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]},"
		"\"modelSource\":" SOURCE "}",
		NULL, &job, &e),
	    0);
	assert_string_equal(job.kind, "llm");
	assert_string_equal(job.game_id, "g");
	assert_string_equal(job.asset_name, "a");
	job_record_fini(&job);
}

static void refusals(void **state)
{
	static const struct {
		const char *body, *names;
		int rc;
	} cases[] = {
	    {"[]", "JSON object", -EINVAL},
	    {"{}", "model:", -EINVAL},
	    {"{\"model\":7}", "model:", -EINVAL},
	    {"{\"model\":\"a/b\"}", "model:", -EINVAL},
	    {"{\"model\":\"m\"}", "task:", -EINVAL},
	    {"{\"model\":\"m\",\"task\":[]}", "task:", -EINVAL},
	    {"{\"model\":\"m\",\"tsk\":{}}", "tsk:", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{}}", "task.prompt", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\",\"width\":\"wide\"}}", "task.width",
	     -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\",\"width\":-1}}", "task.width", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\",\"ext\":\"exe\"}}", "task.ext", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"kind\":\"hologram\"}}", "task.kind", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"kind\":\"audio_tts\",\"text\":\"x\"}}", "task.kind",
	     -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\"},\"gameId\":5}", "gameId", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\"},\"vramGbEstimate\":-1}",
	     "vramGbEstimate", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\"},\"vramGbEstimate\":\"6\"}",
	     "vramGbEstimate", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\"},\"modelSource\":{}}",
	     "modelSource.engine", -EINVAL},
	    {"{\"model\":\"m\",\"task\":{\"prompt\":\"p\"},\"modelSource\":5}", "modelSource",
	     -EINVAL},
	};
	struct model_record m = model_of("{\"kind\":\"image\",\"modelSource\":" SOURCE "}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job_record job;
		struct err e = ERR_INIT;
		assert_int_equal(decode(cases[i].body, &m, &job, &e), cases[i].rc);
		if (!strstr(e.text, cases[i].names))
			fail_msg("%s: \"%s\" does not name %s", cases[i].body, e.text,
				 cases[i].names);
	}
	model_record_fini(&m);
}

static void unknown_and_disabled(void **state)
{
	struct model_record m =
	    model_of("{\"kind\":\"image\",\"enabled\":false,\"modelSource\":" SOURCE "}");
	const char *body = "{\"model\":\"m\",\"task\":{\"kind\":\"image\",\"prompt\":\"p\"}}";
	struct job_record job;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(decode(body, NULL, &job, &e), -ENOENT);
	assert_int_equal(decode(body, &m, &job, &e), -EINVAL);
	assert_non_null(strstr(e.text, "disabled"));
	model_record_fini(&m);
}

static void encode(void **state)
{
	struct job_record job = {
	    .id = xstrdup("job-1"),
	    .kind = xstrdup("image"),
	    .model = xstrdup("m"),
	    .game_id = xstrdup("g"),
	    .asset_name = xstrdup("a"),
	    .state = JOB_DONE,
	    .blob = xstrdup("b"),
	    .ext = xstrdup("png"),
	    .sha256 = xstrdup("00"),
	    .bytes = 9007199254740993,
	    .created_ms = 1000,
	    .claimed_ms = 3000,
	    .finished_ms = 7000,
	    .task = json_object(),
	};
	json_t *o = job_encode(&job, false);

	(void)state;
	assert_null(json_object_get(o, "task"));
	assert_string_equal(json_string_value(json_object_get(o, "resultType")), "file");
	assert_true(json_integer_value(json_object_get(o, "bytes")) == 9007199254740993);
	assert_int_equal(json_integer_value(json_object_get(o, "waitedMs")), 2000);
	assert_int_equal(json_integer_value(json_object_get(o, "ranMs")), 4000);
	assert_string_equal(json_string_value(json_object_get(o, "createdAt")),
			    "1970-01-01T00:00:01.000Z");
	json_decref(o);
	o = job_encode(&job, true);
	assert_non_null(json_object_get(o, "task"));
	json_decref(o);
	job_record_fini(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fill_from_model), cmocka_unit_test(own_source),
	    cmocka_unit_test(refusals),	       cmocka_unit_test(unknown_and_disabled),
	    cmocka_unit_test(encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
