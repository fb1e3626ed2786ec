/* WebSocket frames, as a client and as a server reads them; whole and in uneven pieces, which must
 * come to the same. The first byte says which end. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/net/ws_frame.h"

#define MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_text(void *arg, const char *text, size_t len)
{
	if (len > MAX || !utf8_valid(text, len) || !buf_add(arg, text, len))
		abort();
}

static void on_ping(void *arg, const void *data, size_t len)
{
	if (len > 125 || !buf_add(arg, data, len))
		abort();
}

static void on_close(void *arg, int code, const char *reason)
{
	if (code < 1000 || code > 4999 || strlen(reason) > 123 || !buf_printf(arg, "%d", code))
		abort();
}

static const struct ws_reader_events events = {on_text, on_ping, on_close};

static int parse(struct buf *out, bool masked, const char *data, size_t len, bool pieces)
{
	struct ws_reader r;
	struct err e = ERR_INIT;
	int rc = 0;
	buf_init(out, 64u << 20);
	ws_reader_init(&r, MAX, masked, &events, out);
	for (size_t i = 0, n; rc == 0 && i < len; i += n) {
		n = pieces ? 1 + i % 5 : len;
		if (n > len - i)
			n = len - i;
		rc = ws_reader_feed(&r, data + i, n, &e);
		if (rc && rc != -EPROTO)
			abort();
		if (r.message.cap > 2 * MAX + 256)
			abort();
	}
	ws_reader_fini(&r);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct buf whole, cut;
	const char *bytes = (const char *)data + 1;
	int a = parse(&whole, data[0] & 1, bytes, size - 1, false);
	int b = parse(&cut, data[0] & 1, bytes, size - 1, true);
	if (a != b || whole.len != cut.len ||
	    (whole.len && memcmp(whole.data, cut.data, whole.len) != 0))
		abort();
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
