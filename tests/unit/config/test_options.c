/* test_options.c - the text of config.toml to options, and its errors.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "worker/config/options.h"

static int read_text(struct options *o, const char *text, struct err *e)
{
	return options_read(o, "config.toml", text, strlen(text), NULL, NULL, e);
}

static void an_empty_file_is_all_defaults(void **state)
{
	(void)state;
	struct options o;
	struct err e = ERR_INIT;
	setenv("HOME", "/home/owner", 1);
	assert_int_equal(read_text(&o, "", &e), 0);
	assert_string_equal(o.api_base_url, "https://studio.minis.gg/");
	assert_string_equal(o.models_root, "/home/owner/models");
	assert_true(o.vram_threshold_gb == 12.0);
	assert_true(o.auto_start);
	assert_false(o.only_when_idle);
	assert_int_equal(o.ws_reconnect_attempts, 5);
	struct options d;
	options_init(&d);
	assert_true(options_equal(&o, &d));
	options_fini(&o);
	options_fini(&d);
}

static void every_default_reads_back_as_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		struct options o, d;
		struct err e = ERR_INIT;
		auto_free char *line =
		    xasprintf("%s = %s\n", option_table[i].key, option_table[i].fallback);
		assert_int_equal(read_text(&o, line, &e), 0);
		options_init(&d);
		assert_true(options_equal(&o, &d));
		options_fini(&o);
		options_fini(&d);
	}
}

static void numbers_may_be_whole_or_not(void **state)
{
	(void)state;
	struct options o;
	struct err e = ERR_INIT;
	assert_int_equal(read_text(&o, "vram_threshold_gb = 8", &e), 0);
	assert_true(o.vram_threshold_gb == 8.0);
	options_fini(&o);
	assert_int_equal(read_text(&o, "vram_threshold_gb = 8.5", &e), 0);
	assert_true(o.vram_threshold_gb == 8.5);
	options_fini(&o);
}

static void errors_name_key_line_and_type_but_no_value(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} rows[] = {
	    {"\nauto_start = 1", "config.toml:2: auto_start must be true or false"},
	    {"api_base_url = 5", "config.toml:1: api_base_url must be a string in quotes"},
	    {"api_base_url = [\"hidden\"]",
	     "config.toml:1: api_base_url must be a string in quotes"},
	    {"local_api_port = 1.5", "config.toml:1: local_api_port must be a whole number"},
	    {"local_api_port = 65536", "config.toml:1: local_api_port must be between 0 and 65535"},
	    {"vram_threshold_gb = -1",
	     "config.toml:1: vram_threshold_gb must be between 0 and 100000"},
	    {"vram_threshold_gb = nan",
	     "config.toml:1: vram_threshold_gb must be between 0 and 100000"},
	    {"ws_reconnect_attempts = -1",
	     "config.toml:1: ws_reconnect_attempts must be between 0 and 1000000"},
	    {"[models_root]\na = 1", "config.toml:1: models_root must be a string in quotes"},
	    {"allow_hosts = \"a\"", "config.toml:1: allow_hosts must be a list of strings in "
				    "quotes, [\"like\", \"this\"]"},
	    {"allow_hosts = [\"a\",\n 5]", "config.toml:2: allow_hosts must be a list of strings "
					   "in quotes, [\"like\", \"this\"]"},
	    {"allow_hosts = [[\"a\"]]", "config.toml:1: allow_hosts must be a list of strings in "
					"quotes, [\"like\", \"this\"]"},
	    {"allow_hosts = [\"hidden name\"]",
	     "config.toml:1: allow_hosts: an entry must be 1 to 255 printable characters without "
	     "spaces and commas"},
	    {"sd_server_path = true", "config.toml:1: sd_server_path must be a string in quotes"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct options o;
		struct err e = ERR_INIT;
		assert_true(read_text(&o, rows[i].text, &e) < 0);
		assert_string_equal(e.text, rows[i].error);
	}
}

static void a_list_is_read_with_caps(void **state)
{
	(void)state;
	struct options o, same;
	struct err e = ERR_INIT;
	const char *text = "allow_hosts = [ # ours\n 'nas:8080',\n \"10.0.0.7\", ] # end\n"
			   "models_quota_gb = 40\n";
	assert_int_equal(read_text(&o, text, &e), 0);
	assert_string_equal(o.allow_hosts[0], "nas:8080");
	assert_string_equal(o.allow_hosts[1], "10.0.0.7");
	assert_null(o.allow_hosts[2]);
	assert_true(o.models_quota_gb == 40.0);
	auto_free char *printed = option_format(option_find("allow_hosts"), &o);
	assert_string_equal(printed, "[\"nas:8080\", \"10.0.0.7\"]");
	assert_int_equal(
	    read_text(&same, "allow_hosts=['nas:8080','10.0.0.7']\nmodels_quota_gb=40", &e), 0);
	assert_true(options_equal(&o, &same));
	options_fini(&same);
	assert_int_equal(read_text(&same, "allow_hosts=['nas:8080']\nmodels_quota_gb=40", &e), 0);
	assert_false(options_equal(&o, &same));
	options_fini(&same);
	options_fini(&o);

	char many[1024] = "allow_hosts = [";
	for (int i = 0; i < 64; i++)
		strcat(many, "'h',");
	char *end = many + strlen(many);
	strcpy(end, "]");
	assert_int_equal(read_text(&o, many, &e), 0);
	options_fini(&o);
	strcpy(end, "'h']");
	assert_true(read_text(&o, many, &e) < 0);
	assert_string_equal(e.text, "config.toml:1: allow_hosts may hold 64 entries");
}

static void paths_have_their_home_expanded(void **state)
{
	(void)state;
	struct options o;
	struct err e = ERR_INIT;
	setenv("HOME", "/home/owner", 1);
	assert_int_equal(
	    read_text(&o, "llama_server_path = '~/llama/llama-server'\napi_base_url = '~/x'", &e),
	    0);
	assert_string_equal(o.llama_server_path, "/home/owner/llama/llama-server");
	assert_string_equal(o.sd_server_path, "");
	assert_string_equal(o.api_base_url, "~/x");
	options_fini(&o);
}

static void broken_toml_names_the_line_and_no_value(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "a = 1\nauth_token = hunter2\n", "a = 1\nauth_token = \"hunter2\n", "a = 1\nhunter2\n",
	    "a = 1\nb = \"\\q hunter2\"\n",  "a = 1\na = \"hunter2\"\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct options o;
		struct err e = ERR_INIT;
		assert_int_equal(read_text(&o, texts[i], &e), -EINVAL);
		assert_non_null(strstr(e.text, "config.toml:2: not valid TOML"));
		assert_null(strstr(e.text, "hunter2"));
	}
}

static void note(void *arg, const char *key, unsigned line)
{
	char *text = arg;
	sprintf(text + strlen(text), "%s:%u ", key, line);
}

static void unknown_keys_are_told_once_each(void **state)
{
	(void)state;
	const char *text = "auth_token = \"t\"\ninstall_id = \"i\"\nworker_id = \"w\"\n"
			   "registration_request_id = \"r\"\nregistration_secret = \"s\"\n"
			   "local_api_token = \"x\"\nnew_thing = 1\n[table]\na = 1\nb = 2\n";
	char notes[200] = "";
	struct options o;
	struct err e = ERR_INIT;
	assert_int_equal(options_read(&o, "c", text, strlen(text), note, notes, &e), 0);
	assert_string_equal(notes, "new_thing:7 table:8 ");
	options_fini(&o);
}

static void typed_values_become_toml(void **state)
{
	(void)state;
	static const struct {
		const char *key, *typed, *toml;
	} rows[] = {
	    {"vram_threshold_gb", "8", "8.0"},
	    {"vram_threshold_gb", "8.25", "8.25"},
	    {"vram_threshold_gb", "1e1", "10.0"},
	    {"auto_start", "true", "true"},
	    {"local_api_port", "80", "80"},
	    {"api_base_url", "a\"b\\c\n", "\"a\\\"b\\\\c\\u000a\""},
	    {"vram_threshold_gb", "-1", NULL},
	    {"vram_threshold_gb", "12 GB", NULL},
	    {"vram_threshold_gb", "0x10", NULL},
	    {"vram_threshold_gb", "nan", NULL},
	    {"vram_threshold_gb", "", NULL},
	    {"auto_start", "yes", NULL},
	    {"local_api_port", "1.5", NULL},
	    {"allow_hosts", "", "[]"},
	    {"allow_hosts", "nas", "[\"nas\"]"},
	    {"allow_hosts", " nas:80 , 10.0.0.7,q\"t ", "[\"nas:80\", \"10.0.0.7\", \"q\\\"t\"]"},
	    {"allow_hosts", "nas,,x", NULL},
	    {"allow_hosts", "nas,", NULL},
	    {"allow_hosts", "a host", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		auto_free char *toml = NULL;
		int r = option_parse(option_find(rows[i].key), rows[i].typed, &toml, &e);
		if (rows[i].toml)
			assert_string_equal(toml, rows[i].toml);
		else
			assert_true(r < 0 && strstr(e.text, rows[i].key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_file_is_all_defaults),
	    cmocka_unit_test(every_default_reads_back_as_itself),
	    cmocka_unit_test(numbers_may_be_whole_or_not),
	    cmocka_unit_test(errors_name_key_line_and_type_but_no_value),
	    cmocka_unit_test(a_list_is_read_with_caps),
	    cmocka_unit_test(paths_have_their_home_expanded),
	    cmocka_unit_test(broken_toml_names_the_line_and_no_value),
	    cmocka_unit_test(unknown_keys_are_told_once_each),
	    cmocka_unit_test(typed_values_become_toml),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
