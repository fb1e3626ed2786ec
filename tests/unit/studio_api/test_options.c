/* test_options.c - the command line of studiod and what its options become.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "studio/cli/datadir.h"
#include "studio/cli/options.h"
#include "studio/cli/settings.h"
#include "studio/cli/task_build.h"

static void read_options(void **state)
{
	char *argv[] = {"--name", "a", "word", "--flag", "--name=b", "--", "--word", NULL};
	const char *name = NULL;
	bool flag = false;
	const struct option_row rows[] = {{"--name", &name, NULL}, {"--flag", NULL, &flag}};
	int argc = 7;

	(void)state;
	assert_true(options_read("x", rows, 2, false, &argc, argv));
	assert_string_equal(name, "b");
	assert_true(flag);
	assert_int_equal(argc, 2);
	assert_string_equal(argv[0], "word");
	assert_string_equal(argv[1], "--word");
}

static void leading_options(void **state)
{
	char *argv[] = {"--flag", "command", "--flag", "--other", NULL};
	bool flag = false;
	const struct option_row rows[] = {{"--flag", NULL, &flag}};
	int argc = 4;

	(void)state;
	assert_true(options_read("x", rows, 1, true, &argc, argv));
	assert_int_equal(argc, 3);
	assert_string_equal(argv[0], "command");
}

static void hints(void **state)
{
	const char *const words[] = {"approve", "reject", "workers"};

	(void)state;
	assert_string_equal(nearest_word("aprove", words, 3), "approve");
	assert_string_equal(nearest_word("worker", words, 3), "workers");
	assert_null(nearest_word("zzzzzzzz", words, 3));
	assert_null(nearest_word("frob", (const char *[]){"jobs"}, 1));
	assert_string_equal(nearest_word("jbos", (const char *[]){"jobs"}, 1), "jobs");
	assert_null(
	    nearest_word("a-very-long-word-that-is-longer-than-any-option-there-is", words, 3));
}

static json_t *build(const char *kind, const char *task, const char *option, const char *text,
		     struct err *e)
{
	const char *values[TASK_OPTIONS] = {0};

	for (size_t i = 0; i < task_option_count; i++)
		if (strcmp(task_options[i].name, option) == 0)
			values[i] = text;
	return task_build(kind, task, values, e);
}

static void expect_task(const char *kind, const char *task, const char *option, const char *text,
			const char *want)
{
	struct err e = ERR_INIT;
	json_t *got = build(kind, task, option, text, &e), *wanted = json_loads(want, 0, NULL);

	assert_non_null(got);
	assert_true(json_equal(got, wanted));
	json_decref(got);
	json_decref(wanted);
}

static void tasks(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	expect_task("image", NULL, "--prompt", "p", "{\"kind\":\"image\",\"prompt\":\"p\"}");
	expect_task("llm", NULL, "--prompt", "p",
		    "{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]}");
	expect_task("audio_tts", NULL, "--prompt", "p", "{\"kind\":\"audio_tts\",\"text\":\"p\"}");
	expect_task("", "{\"kind\":\"video\",\"seconds\":1}", "--seconds", "2.5",
		    "{\"kind\":\"video\",\"seconds\":2.5}");
	assert_null(build("llm", NULL, "--width", "1", &e));
	assert_non_null(strstr(e.text, "only for: image, video"));
	expect_task("", "{}", "--seed", "9007199254740993", "{\"seed\":9007199254740993}");
	assert_null(build("image", NULL, "--width", "wide", &e));
	assert_non_null(strstr(e.text, "--width"));
	assert_null(build("image", NULL, "--width", "1.5", &e));
	assert_null(build("image", "[]", "--width", "1", &e));
	assert_null(build("image", "@/nonexistent/file", "--width", "1", &e));
}

static void config(void **state)
{
	char dir[] = "/tmp/studiod-test-XXXXXX";
	struct settings s = {0};
	struct err e = ERR_INIT;
	char *path;
	const char *good = "# mine\nlisten = \"0.0.0.0:1\"\ngrace_ms = 5\nbehind_proxy = true\n";
	static const struct {
		const char *text, *names;
	} bad[] = {
	    {"listne = \"x\"\n", "did you mean listen?"},
	    {"grace_ms = \"5\"\n", "grace_ms"},
	    {"grace_ms = -5\n", "grace_ms"},
	    {"\nlisten = 5\n", ":2:"},
	    {"listen = \"localhost:1\"\n", "127.0.0.1:8787"},
	    {"listen = \"[::1]:65536\"\n", "127.0.0.1:8787"},
	    {"listen = \"[]:1\"\n", "127.0.0.1:8787"},
	    {"log_format = \"xml\"\n", "log_format"},
	    {"listen = \n", "not valid TOML"},
	};

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = fs_join(dir, "config.toml");
	assert_true(settings_load(&s, path, &e) < 0);
	settings_fini(&s);
	assert_int_equal(fs_write_atomic(path, good, strlen(good), 0600, &e), 0);
	assert_int_equal(settings_load(&s, path, &e), 0);
	assert_string_equal(s.listen, "0.0.0.0:1");
	assert_int_equal(s.grace_ms, 5);
	assert_true(s.behind_proxy);
	assert_int_equal(s.idle_ms, 30000);
	assert_int_equal(settings_put(&s, "idle_ms", "soon", &e), -EINVAL);
	settings_fini(&s);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(fs_write_atomic(path, bad[i].text, strlen(bad[i].text), 0600, &e),
				 0);
		assert_true(settings_load(&s, path, &e) < 0);
		if (!strstr(e.text, bad[i].names))
			fail_msg("\"%s\" does not say %s", e.text, bad[i].names);
		settings_fini(&s);
	}
	free(path);
	fs_remove_tree(dir, NULL);
}

static void data_folder(void **state)
{
	char dir[] = "/tmp/studiod-test-XXXXXX";
	struct datadir d, other;
	struct rng rng;
	struct err e = ERR_INIT;
	char *path, *address;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = fs_join(dir, "data");
	rng_init_system(&rng);
	datadir_init(&d, path);
	datadir_init(&other, path);
	assert_null(datadir_find(&other, &e));
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(datadir_open(&d, &rng, &e), 0);
	assert_int_equal(datadir_announce(&d, "0.0.0.0:0", 4711, &e), 0);
	address = datadir_find(&other, &e);
	assert_string_equal(address, "http://127.0.0.1:4711");
	assert_true(secret_equal(&other.token, &d.token));
	free(address);
	datadir_withdraw(&d);
	datadir_fini(&other);
	datadir_fini(&d);
	datadir_init(&other, path); /* the token stays */
	assert_int_equal(datadir_open(&other, &rng, &e), 0);
	datadir_fini(&other);
	free(path);
	fs_remove_tree(dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read_options), cmocka_unit_test(leading_options),
	    cmocka_unit_test(hints),	    cmocka_unit_test(tasks),
	    cmocka_unit_test(config),	    cmocka_unit_test(data_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
