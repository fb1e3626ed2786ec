/* Log lines: what reaches a sink, filters, both formats.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/log_stderr.h"
#include "lib/base/mem.h"
#include "lib/base/utf8.h"

struct capture {
	struct log_sink sink;
	size_t n;
	enum log_level level;
	char message[9000], category[16], job[64];
	int64_t wall_ms;
};

static void capture_write(struct log_sink *s, const struct log_entry *e)
{
	struct capture *c = container_of(s, struct capture, sink);
	c->n++;
	c->level = e->level;
	c->wall_ms = e->wall_ms;
	snprintf(c->message, sizeof c->message, "%s", e->message);
	snprintf(c->category, sizeof c->category, "%s", e->category);
	snprintf(c->job, sizeof c->job, "%s", e->job_id ? e->job_id : "-");
}

struct fixture {
	struct clock clock;
	struct log log;
	struct capture capture;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	clock_init(&f->clock);
	clock_set(&f->clock, 5, 1779710400007);
	log_init(&f->log, &f->clock);
	f->capture.sink.write = capture_write;
	log_add_sink(&f->log, &f->capture.sink);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	clock_fini(&f->clock);
	free(f);
	return 0;
}

static void test_entry(void **state)
{
	struct fixture *f = *state;
	log_warn(&f->log, "ws", "j1", "n=%d", 3);
	assert_int_equal(f->capture.n, 1);
	assert_int_equal(f->capture.level, LOG_LEVEL_WARN);
	assert_int_equal(f->capture.wall_ms, 1779710400007);
	assert_string_equal(f->capture.message, "n=3");
	assert_string_equal(f->capture.category, "ws");
	assert_string_equal(f->capture.job, "j1");
	log_remove_sink(&f->log, &f->capture.sink);
	log_info(&f->log, "ws", NULL, "x");
	assert_int_equal(f->capture.n, 1);
}

static void test_hostile_text(void **state)
{
	struct fixture *f = *state;
	log_info(&f->log, "ws", NULL, "a\nb\x1b[31m\x7f\xc2\x9b \xff\xc3( \xc3\xa9");
	assert_string_equal(f->capture.message, "a b [31m    ?\?( \xc3\xa9");
}

static void test_cut_is_valid_utf8(void **state)
{
	struct fixture *f = *state;
	auto_free char *text = xmalloc(20001);
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', 20000);
		for (size_t i = shift; i + 4 <= 20000; i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		text[20000] = '\0';
		log_info(&f->log, "ws", NULL, "%s", text);
		size_t n = strlen(f->capture.message);
		assert_int_equal(n, 8191);
		assert_true(utf8_valid(f->capture.message, n));
		assert_string_equal(f->capture.message + n - 3, "...");
	}
}

static void test_levels(void **state)
{
	(void)state;
	enum log_level level = LOG_LEVEL_DEBUG;
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
		assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
}

static void test_filter(void **state)
{
	(void)state;
	struct log_filter f = {0};
	assert_int_equal(log_filter_parse(&f, "warn,job=debug,ws=error,job=info", NULL), 0);
	assert_true(log_filter_passes(&f, "engine", LOG_LEVEL_WARN));
	assert_false(log_filter_passes(&f, "engine", LOG_LEVEL_INFO));
	assert_true(log_filter_passes(&f, "job", LOG_LEVEL_INFO));
	assert_false(log_filter_passes(&f, "job", LOG_LEVEL_DEBUG));
	assert_false(log_filter_passes(&f, "ws", LOG_LEVEL_WARN));
	assert_true(log_filter_passes(&f, "ws", LOG_LEVEL_ERROR));
	assert_int_equal(log_filter_parse(&f, "job=debug", NULL), 0);
	assert_true(log_filter_passes(&f, "ws", LOG_LEVEL_INFO));
	assert_false(log_filter_passes(&f, "ws", LOG_LEVEL_DEBUG));
}

static void test_filter_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "loud",
	    "info,",
	    ",info",
	    "ws=",
	    "=info",
	    "ws=loud",
	    "ws=info=warn",
	    "a-room-with-much-too-long-a-name=info",
	    ("a=info,b=info,c=info,d=info,e=info,f=info,g=info,h=info,i=info,j=info,k=info,l=info,"
	     "m=info,n=info,o=info,p=info,q=info"),
	};
	struct log_filter f = {.level = LOG_LEVEL_ERROR};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		assert_true(log_filter_parse(&f, bad[i], &e) < 0);
		assert_true(e.text[0]);
		assert_int_equal(f.level, LOG_LEVEL_ERROR);
		assert_int_equal(f.n, 0);
	}
	struct err e = ERR_INIT;
	assert_int_equal(log_filter_parse(&f, "ws=loud", &e), -EINVAL);
	assert_string_equal(e.text, "unknown log level \"loud\"; use debug, info, warn or error");
}

/* What one line becomes on a descriptor. */
static char *written(struct fixture *f, enum log_format format, bool colour, const char *job,
		     const char *message)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	struct log_filter filter = {.level = LOG_LEVEL_INFO};
	struct log_stderr s;
	log_stderr_init(&s, fds[1], format, &filter);
	s.colour = colour;
	log_add_sink(&f->log, &s.sink);
	log_debug(&f->log, "ws", job, "filtered");
	log_error(&f->log, "ws", job, "%s", message);
	log_remove_sink(&f->log, &s.sink);
	close(fds[1]);
	char *out = xcalloc(1, 70000);
	size_t len = 0;
	ssize_t n;
	while ((n = read(fds[0], out + len, 70000 - 1 - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	return out;
}

static void test_json(void **state)
{
	struct fixture *f = *state;
	auto_free char *line = written(f, LOG_FORMAT_AUTO, false, NULL, "say \"hi\" \\ \xc3\xa9");
	assert_string_equal(line,
			    "{\"ts\":\"2026-05-25T12:00:00.007Z\",\"level\":\"error\","
			    "\"category\":\"ws\",\"message\":\"say \\\"hi\\\" \\\\ \xc3\xa9\"}\n");
	auto_free char *with_job = written(f, LOG_FORMAT_JSON, true, "a\"\n\xff", "m");
	assert_non_null(strstr(with_job, ",\"message\":\"m\",\"jobId\":\"a\\\" ?\"}\n"));
}

static void test_human(void **state)
{
	struct fixture *f = *state;
	setenv("TZ", "UTC", 1);
	auto_free char *plain = written(f, LOG_FORMAT_HUMAN, false, "j1", "hello");
	assert_string_equal(plain, "12:00:00.007 ERROR ws: hello (job j1)\n");
	auto_free char *named = written(f, LOG_FORMAT_HUMAN, false, "j1", "offer j1");
	assert_string_equal(named, "12:00:00.007 ERROR ws: offer j1\n");
	auto_free char *colour = written(f, LOG_FORMAT_HUMAN, true, "\x1b[2J", "x");
	assert_string_equal(colour, "12:00:00.007 \x1b[1;31mERROR\x1b[0m ws: x (job  [2J)\n");
}

static void test_longest_line(void **state)
{
	struct fixture *f = *state;
	auto_free char *text = xcalloc(1, 10001);
	memset(text, '"', 10000);
	auto_free char *line = written(f, LOG_FORMAT_JSON, false, NULL, text);
	assert_string_equal(line + strlen(line) - 6, "...\"}\n");
}

static void test_format_names(void **state)
{
	(void)state;
	enum log_format format = LOG_FORMAT_AUTO;
	assert_true(log_format_parse("human", &format));
	assert_int_equal(format, LOG_FORMAT_HUMAN);
	assert_true(log_format_parse("json", &format));
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_true(log_format_parse("auto", &format));
	assert_int_equal(format, LOG_FORMAT_AUTO);
	assert_false(log_format_parse("xml", &format));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_entry),	  T(test_hostile_text), T(test_cut_is_valid_utf8),
	    T(test_levels),	  T(test_filter),	T(test_filter_refuses),
	    T(test_json),	  T(test_human),	T(test_longest_line),
	    T(test_format_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
