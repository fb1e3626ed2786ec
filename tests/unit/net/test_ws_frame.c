/* RFC 6455 framing: what comes through, what is refused, what it costs.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "lib/net/ws_frame.h"

#define MAX (4u << 20)

struct seen {
	struct buf texts; /* each with a | behind it */
	size_t n_texts, longest, pings;
	int close_code;
	char reason[128], ping[126];
};

static void on_text(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;
	s->n_texts++;
	if (len > s->longest)
		s->longest = len;
	if (len < 1000)
		assert_true(buf_add(&s->texts, text, len) && buf_add(&s->texts, "|", 1));
}

static void on_ping(void *arg, const void *data, size_t len)
{
	struct seen *s = arg;
	s->pings++;
	memcpy(s->ping, data, len);
	s->ping[len] = '\0';
}

static void on_close(void *arg, int code, const char *reason)
{
	struct seen *s = arg;
	assert_int_equal(s->close_code, 0);
	s->close_code = code;
	snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static const struct ws_reader_events events = {on_text, on_ping, on_close};

static void seen_init(struct seen *s)
{
	*s = (struct seen){0};
	buf_init(&s->texts, 1u << 20);
}

/* In pieces of `step` bytes; the result of the last feed. */
static int read_all(struct seen *s, bool masked, const void *data, size_t len, size_t step,
		    struct err *e)
{
	struct ws_reader r;
	int rc = 0;
	seen_init(s);
	ws_reader_init(&r, MAX, masked, &events, s);
	const char *p = data;
	while (len && rc == 0) {
		size_t n = len < step ? len : step;
		rc = ws_reader_feed(&r, p, n, e);
		p += n;
		len -= n;
	}
	ws_reader_fini(&r);
	return rc;
}

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void round_trip_in_any_pieces(void **state)
{
	(void)state;
	static const size_t steps[] = {1, 2, 3, 7, 4096, SIZE_MAX};
	for (int masked = 0; masked < 2; masked++) {
		const unsigned char *m = masked ? mask : NULL;
		struct buf b;
		buf_init(&b, MAX);
		char *mid = xcalloc(1, 70001);
		memset(mid, 'x', 70000);
		assert_true(ws_frame_write(&b, WS_TEXT, "hello", 5, m));
		assert_true(ws_frame_write(&b, WS_PING, "p", 1, m));
		assert_true(ws_frame_write(&b, WS_PONG, "q", 1, m));
		assert_true(ws_frame_write(&b, WS_TEXT, "", 0, m));
		assert_true(ws_frame_write(&b, WS_TEXT, mid, 125, m));
		assert_true(ws_frame_write(&b, WS_TEXT, mid, 126, m));
		assert_true(ws_frame_write(&b, WS_TEXT, mid, 65535, m));
		assert_true(ws_frame_write(&b, WS_TEXT, mid, 70000, m));
		char payload[125];
		size_t n = ws_close_payload(payload, 4001, "auth failed");
		assert_true(ws_frame_write(&b, WS_CLOSE, payload, n, m));
		for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
			struct seen s;
			struct err e = ERR_INIT;
			assert_int_equal(read_all(&s, masked, b.data, b.len, steps[i], &e), 0);
			assert_int_equal(s.n_texts, 6);
			assert_int_equal(s.longest, 70000);
			assert_memory_equal(s.texts.data, "hello||xxx", 10);
			assert_int_equal(s.pings, 1);
			assert_string_equal(s.ping, "p");
			assert_int_equal(s.close_code, 4001);
			assert_string_equal(s.reason, "auth failed");
			buf_fini(&s.texts);
		}
		free(mid);
		buf_fini(&b);
	}
}

static void fragments_with_a_ping_between(void **state)
{
	(void)state;
	/* The euro sign is cut in the middle: only whole messages must be UTF-8. */
	static const char bytes[] = "\x01\x02\x68\xe2"
				    "\x89\x01!"
				    "\x00\x01\x82"
				    "\x80\x01\xac";
	for (size_t step = 1; step < sizeof bytes; step++) {
		struct seen s;
		struct err e = ERR_INIT;
		assert_int_equal(read_all(&s, false, bytes, sizeof bytes - 1, step, &e), 0);
		assert_int_equal(s.n_texts, 1);
		assert_string_equal(s.texts.data, "h\xe2\x82\xac|");
		assert_string_equal(s.ping, "!");
		buf_fini(&s.texts);
	}
}

struct row {
	const char *what, *bytes;
	size_t len;
};
#define ROW(what, s)                                                                               \
	{                                                                                          \
		what, s, sizeof(s) - 1                                                             \
	}

static void refused(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    ROW("binary", "\x82\x01x"),
	    ROW("opcode 3", "\x83\x01x"),
	    ROW("opcode 15", "\x8f\x01x"),
	    ROW("rsv1 without an extension", "\xc1\x01x"),
	    ROW("rsv2", "\xa1\x01x"),
	    ROW("rsv3", "\x91\x01x"),
	    ROW("a masked frame from a server", "\x81\x81\x01\x02\x03\x04x"),
	    ROW("a continuation of nothing", "\x80\x01x"),
	    ROW("a text inside a text", "\x01\x01x\x81\x01x"),
	    ROW("a fragmented ping", "\x09\x01x"),
	    ROW("a long ping", "\x89\x7e\x00\x7ex"),
	    ROW("a fragmented close", "\x08\x02\x03\xe8"),
	    ROW("a close of one byte", "\x88\x01\x03"),
	    ROW("a close with code 0", "\x88\x02\x00\x00"),
	    ROW("a close with code 999", "\x88\x02\x03\xe7"),
	    ROW("a close with 1005", "\x88\x02\x03\xed"),
	    ROW("a close with 1006", "\x88\x02\x03\xee"),
	    ROW("a close with 1015", "\x88\x02\x03\xf7"),
	    ROW("a close with 2000", "\x88\x02\x07\xd0"),
	    ROW("a close with 5000", "\x88\x02\x13\x88"),
	    ROW("a close whose reason is not UTF-8", "\x88\x03\x03\xe8\xff"),
	    ROW("a text that is not UTF-8", "\x81\x01\xff"),
	    ROW("an overlong form", "\x81\x02\xc0\xaf"),
	    ROW("a surrogate", "\x81\x03\xed\xa0\x80"),
	    ROW("above U+10FFFF", "\x81\x04\xf4\x90\x80\x80"),
	    ROW("a cut sequence", "\x81\x02\xe2\x82"),
	    ROW("more than 4 MiB announced", "\x81\x7f\0\0\0\0\0\x40\0\x01"),
	    ROW("2^63 announced", "\x81\x7f\x80\0\0\0\0\0\0\0"),
	    ROW("2^64-1 announced", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
	    ROW("fragments beyond 4 MiB", "\x01\x01x\x80\x7f\0\0\0\0\0\x40\0\0"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step <= rows[i].len; step += rows[i].len - 1) {
			struct seen s;
			struct err e = ERR_INIT;
			int rc = read_all(&s, false, rows[i].bytes, rows[i].len, step, &e);
			if (rc != -EPROTO || !e.text[0])
				fail_msg("%s was not refused (%d %s)", rows[i].what, rc, e.text);
			assert_int_equal(s.close_code, 0);
			buf_fini(&s.texts);
		}
}

static void a_server_wants_masks(void **state)
{
	(void)state;
	struct seen s;
	struct err e = ERR_INIT;
	assert_int_equal(read_all(&s, true, "\x81\x01x", 3, 3, &e), -EPROTO);
	buf_fini(&s.texts);
	assert_int_equal(read_all(&s, true, "\x81\x81\0\0\0\0x", 7, 1, &e), 0);
	assert_string_equal(s.texts.data, "x|");
	buf_fini(&s.texts);
}

static void closes(void **state)
{
	(void)state;
	struct seen s;
	struct err e = ERR_INIT;
	/* What follows a close frame is ignored, also when it is nonsense. */
	assert_int_equal(read_all(&s, false, "\x88\x00\xff\xff\xff", 5, 1, &e), 0);
	assert_int_equal(s.close_code, 1005);
	buf_fini(&s.texts);
	assert_int_equal(read_all(&s, false, "\x88\x04\x0f\xa3no", 6, 6, &e), 0);
	assert_int_equal(s.close_code, 4003);
	assert_string_equal(s.reason, "no");
	buf_fini(&s.texts);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
	(void)state;
	char reason[300] = "ab", payload[125];
	for (size_t i = 0; i < 99; i++)
		memcpy(reason + 2 + 3 * i, "\xe2\x82\xac", 3);
	size_t n = ws_close_payload(payload, 1000, reason);
	assert_true(n <= 125);
	assert_true(utf8_valid(payload + 2, n - 2));
}

/* The largest message in fragments of one byte fits, one byte more does not. */
static void exactly_the_limit(void **state)
{
	(void)state;
	struct seen s;
	struct err e = ERR_INIT;
	struct ws_reader r;
	seen_init(&s);
	ws_reader_init(&r, MAX, false, &events, &s);
	assert_int_equal(ws_reader_feed(&r, "\x01\x00", 2, &e), 0);
	for (size_t i = 0; i < MAX; i++)
		assert_int_equal(ws_reader_feed(&r, "\x00\x01x", 3, &e), 0);
	assert_int_equal(ws_reader_feed(&r, "\x80\x00", 2, &e), 0);
	assert_int_equal(s.longest, MAX);
	assert_int_equal(ws_reader_feed(&r, "\x01\x7f\0\0\0\0\0\x40\0\0", 10, &e), 0);
	char *whole = xcalloc(1, MAX);
	assert_int_equal(ws_reader_feed(&r, whole, MAX, &e), 0);
	assert_int_equal(ws_reader_feed(&r, "\x00\x01x", 3, &e), -EPROTO);
	free(whole);
	ws_reader_fini(&r);
	buf_fini(&s.texts);
}

static void memory_follows_what_came_not_what_was_announced(void **state)
{
	(void)state;
	struct seen s;
	struct err e = ERR_INIT;
	struct ws_reader r;
	seen_init(&s);
	ws_reader_init(&r, MAX, false, &events, &s);
	assert_int_equal(ws_reader_feed(&r, "\x81\x7f\0\0\0\0\0\x40\0\0ab", 12, &e), 0);
	assert_true(r.message.cap < 4096);
	ws_reader_fini(&r);
	buf_fini(&s.texts);
}

static void a_full_buffer_stays_whole(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 10);
	assert_true(ws_frame_write(&b, WS_TEXT, "12345", 5, NULL));
	assert_false(ws_frame_write(&b, WS_TEXT, "12345", 5, NULL));
	assert_int_equal(b.len, 7);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip_in_any_pieces),
	    cmocka_unit_test(fragments_with_a_ping_between),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(a_server_wants_masks),
	    cmocka_unit_test(closes),
	    cmocka_unit_test(a_long_reason_is_cut_between_characters),
	    cmocka_unit_test(exactly_the_limit),
	    cmocka_unit_test(memory_follows_what_came_not_what_was_announced),
	    cmocka_unit_test(a_full_buffer_stays_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
