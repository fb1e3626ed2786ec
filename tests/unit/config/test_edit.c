/* test_edit.c - one key changes, every other byte stays.
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
#include "worker/config/edit.h"

struct row {
	const char *before, *after;
};

static void set(const struct row *row)
{
	struct err e = ERR_INIT;
	auto_free char *out = NULL;
	size_t len;
	int r = edit_set(row->before, strlen(row->before), "key", "\"new\"", &out, &len, &e);
	assert_int_equal(r, row->after ? 0 : -EINVAL);
	if (row->after)
		assert_string_equal(out, row->after);
}

static void replaces_the_value_only(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"key = \"old\"\n", "key = \"new\"\n"},
	    {"  key=\"old\"   # why\n", "  key=\"new\"   # why\n"},
	    {"# top\r\nkey = 5 # x\r\nb = 1\r\n", "# top\r\nkey = \"new\" # x\r\nb = 1\r\n"},
	    {"\"key\" = 'o\"ld'", "\"key\" = \"new\""},
	    {"key = \"\"\"\na\nb\"\"\" # c\nb = 1\n", "key = \"new\" # c\nb = 1\n"},
	    {"key = [\n 1, # one\n 2,\n]\nb = 1\n", "key = \"new\"\nb = 1\n"},
	    {"a = \"h\xc3\xa9\"\nkey = \"\xf0\x9f\x98\x80\" # \xc3\xa9\n",
	     "a = \"h\xc3\xa9\"\nkey = \"new\" # \xc3\xa9\n"},
	    {"\xef\xbb\xbfkey = 1\n", "\xef\xbb\xbfkey = \"new\"\n"},
	    {"t = '''\nkey = 1\n'''\nkey = 2\n[key2]\nkey = 3\n",
	     "t = '''\nkey = 1\n'''\nkey = \"new\"\n[key2]\nkey = 3\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		set(&rows[i]);
}

static void adds_a_missing_key_in_front_of_the_tables(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"", "key = \"new\"\n"},
	    {"\xef\xbb\xbf", "\xef\xbb\xbfkey = \"new\"\n"},
	    {"# only a comment", "# only a comment\nkey = \"new\"\n"},
	    {"# head\n\n[t]\nkey = 1\n", "# head\nkey = \"new\"\n\n[t]\nkey = 1\n"},
	    {"a = 1 # x\n\n# of t\n[t]\n", "a = 1 # x\nkey = \"new\"\n\n# of t\n[t]\n"},
	    {"a = 1", "a = 1\nkey = \"new\"\n"},
	    {"a = 1\r\n[t]\r\n", "a = 1\r\nkey = \"new\"\r\n[t]\r\n"},
	    {"b = '''\n[t]\n'''\n[t]\na = 1\n", "b = '''\n[t]\n'''\nkey = \"new\"\n[t]\na = 1\n"},
	    {"[[t]]\na = 1\n", "key = \"new\"\n[[t]]\na = 1\n"},
	    {"[t]\na = 1\n[t.key]\nb = 1\n", "key = \"new\"\n[t]\na = 1\n[t.key]\nb = 1\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		set(&rows[i]);
}

static void refuses_what_it_can_not_do_safely(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"key = \n", NULL},
	    {"[key]\na = 1\n", NULL},
	    {"key.a = 1\n", NULL},
	    {"[[key]]\na = 1\n", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		set(&rows[i]);
}

static void removes_whole_lines(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a = 1\nkey = 2 # c\nb = 3\n", "a = 1\nb = 3\n"},
	    {"key = 2", ""},
	    {"\xef\xbb\xbfkey = 2\r\na = 1\r\n", "\xef\xbb\xbf"
						 "a = 1\r\n"},
	    {"key = '''\na\n'''\na = 1\n", "a = 1\n"},
	    {"a = 1\n[t]\nkey = 1\n", "a = 1\n[t]\nkey = 1\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		auto_free char *out = NULL;
		size_t len;
		assert_int_equal(
		    edit_remove(rows[i].before, strlen(rows[i].before), "key", &out, &len, &e), 0);
		assert_string_equal(out, rows[i].after);
	}
}

static void a_list_is_replaced_whole(void **state)
{
	(void)state;
	static const char before[] = "# mine\nkey = [ # ours\n 'a', # one\n] # end\nb = ['k']\n";
	static const char after[] = "# mine\nkey = [\"x\", \"y\"] # end\nb = ['k']\n";
	struct err e = ERR_INIT;
	auto_free char *out = NULL, *removed = NULL;
	size_t len, rest;
	assert_int_equal(edit_set(before, strlen(before), "key", "[\"x\", \"y\"]", &out, &len, &e),
			 0);
	assert_string_equal(out, after);
	assert_int_equal(edit_remove(out, len, "key", &removed, &rest, &e), 0);
	assert_string_equal(removed, "# mine\nb = ['k']\n");
}

/* Whatever stood in the value's place would be another list. */
static void a_list_that_reads_back_as_another_is_refused(void **state)
{
	(void)state;
	static const char before[] = "key = []\n";
	struct err e = ERR_INIT;
	auto_free char *out = NULL;
	size_t len;
	assert_int_equal(
	    edit_set(before, strlen(before), "key", "['a']\nother = ['b']", &out, &len, &e),
	    -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replaces_the_value_only),
	    cmocka_unit_test(adds_a_missing_key_in_front_of_the_tables),
	    cmocka_unit_test(refuses_what_it_can_not_do_safely),
	    cmocka_unit_test(removes_whole_lines),
	    cmocka_unit_test(a_list_is_replaced_whole),
	    cmocka_unit_test(a_list_that_reads_back_as_another_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
