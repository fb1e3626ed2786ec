/* ws_frame.c - see ws_frame.h. The rules are those of RFC 6455, sections 5 and 7.
 * SPDX-License-Identifier: MIT */
#include "lib/net/ws_frame.h"

#include <errno.h>
#include <string.h>

#include "lib/base/utf8.h"

bool ws_frame_write(struct buf *out, enum ws_opcode op, const void *data, size_t len,
		    const unsigned char mask[4])
{
	unsigned char head[14] = {(unsigned char)(0x80 | op)};
	unsigned masked = mask ? 0x80 : 0;
	size_t n = 2;
	if (len < 126) {
		head[1] = (unsigned char)(masked | len);
	} else {
		int bytes = len < 65536 ? 2 : 8;
		head[1] = (unsigned char)(masked | (bytes == 2 ? 126 : 127));
		for (int i = bytes - 1; i >= 0; i--)
			head[n++] = (unsigned char)((uint64_t)len >> (8 * i));
	}
	if (mask) {
		memcpy(head + n, mask, 4);
		n += 4;
	}
	size_t before = out->len;
	if (!buf_add(out, head, n) || !buf_add(out, data, len)) {
		out->len = before;
		return false;
	}
	char *payload = out->data + before + n;
	for (size_t i = 0; mask && i < len; i++)
		payload[i] = (char)(payload[i] ^ mask[i & 3]);
	return true;
}

size_t ws_close_payload(char out[125], int code, const char *reason)
{
	size_t n = strlen(reason);
	if (n > 123)
		for (n = 123;
		     n && ((unsigned char)reason[n] & 0xc0) == 0x80;) /* whole characters */
			n--;
	out[0] = (char)(code >> 8);
	out[1] = (char)code;
	/* Its length is told, not its end. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(out + 2, reason, n);
	return n + 2;
}

void ws_reader_init(struct ws_reader *r, size_t max_message, bool masked,
		    const struct ws_reader_events *ev, void *arg)
{
	*r = (struct ws_reader){.events = ev,
				.arg = arg,
				.masked = masked,
				.max_message = max_message,
				.max_later = max_message,
				.head_need = 2};
	buf_init(&r->message, max_message);
}

void ws_reader_limit_first(struct ws_reader *r, size_t max)
{
	if (max < r->max_message)
		r->max_message = max;
	r->message.max = r->max_message;
}

void ws_reader_fini(struct ws_reader *r)
{
	buf_fini(&r->message);
}

/* The first two bytes are there: how many the header has, and what may not be. */
static int check_start(struct ws_reader *r, struct err *e)
{
	r->fin = r->head[0] & 0x80;
	r->op = r->head[0] & 0x0f;
	unsigned len = r->head[1] & 0x7f;
	if (r->head[0] & 0x70)
		return err_set(e, EPROTO, "a WebSocket frame with reserved bits");
	if (!!(r->head[1] & 0x80) != r->masked)
		return err_set(e, EPROTO, "a WebSocket frame with the wrong masking");
	if (r->op >= WS_CLOSE) {
		if (r->op > WS_PONG)
			return err_set(e, EPROTO, "WebSocket opcode %d is not known", r->op);
		if (!r->fin || len > 125)
			return err_set(e, EPROTO, "a fragmented or long WebSocket control frame");
	} else if (r->op == WS_BINARY) {
		return err_set(e, EPROTO, "a binary WebSocket message");
	} else if (r->op > WS_BINARY) {
		return err_set(e, EPROTO, "WebSocket opcode %d is not known", r->op);
	} else if ((r->op == WS_CONTINUATION) != r->in_message) {
		return err_set(e, EPROTO, "a WebSocket fragment out of order");
	}
	r->head_need = (len == 126 ? 4 : len == 127 ? 10 : 2) + (r->masked ? 4u : 0u);
	return 0;
}

static int start_payload(struct ws_reader *r, struct err *e)
{
	size_t size_end = r->head_need - (r->masked ? 4 : 0);
	r->left = r->head[1] & 0x7f;
	if (size_end > 2) {
		r->left = 0;
		for (size_t i = 2; i < size_end; i++)
			r->left = r->left << 8 | r->head[i];
	}
	memcpy(r->mask, r->head + size_end, r->masked ? 4 : 0);
	r->mask_at = 0;
	if (r->op < WS_CLOSE && r->left > r->max_message - r->message.len)
		return err_set(e, EPROTO, "a WebSocket message of more than %zu bytes",
			       r->max_message);
	r->in_payload = true;
	r->control_len = 0;
	if (r->op < WS_CLOSE)
		r->in_message = true;
	return 0;
}

static bool close_code_valid(int code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static int end_close(struct ws_reader *r, struct err *e)
{
	char reason[124] = "";
	int code = 1005;
	if (r->control_len == 1)
		return err_set(e, EPROTO, "a WebSocket close frame of one byte");
	if (r->control_len >= 2) {
		code = r->control[0] << 8 | r->control[1];
		memcpy(reason, r->control + 2, r->control_len - 2);
		if (!close_code_valid(code) || !utf8_valid(reason, r->control_len - 2))
			return err_set(e, EPROTO, "a bad WebSocket close frame (code %d)", code);
	}
	r->closed = true;
	r->events->close(r->arg, code, reason);
	return 0;
}

static int end_frame(struct ws_reader *r, struct err *e)
{
	r->in_payload = false;
	r->head_len = 0;
	r->head_need = 2;
	if (r->op == WS_CLOSE)
		return end_close(r, e);
	if (r->op == WS_PING)
		r->events->ping(r->arg, r->control, r->control_len);
	if (r->op >= WS_CLOSE || !r->fin)
		return 0;
	r->in_message = false;
	if (!utf8_valid(r->message.data ? r->message.data : "", r->message.len))
		return err_set(e, EPROTO, "a WebSocket text message that is not UTF-8");
	struct buf whole = r->message;
	r->max_message = whole.max = r->max_later;
	buf_init(&r->message, r->max_message);
	r->events->text(r->arg, whole.data ? whole.data : "", whole.len);
	/* A small buffer is kept for the next message; one that grew is given back. */
	if (whole.cap <= 16384 && !r->message.data) {
		buf_reset(&whole);
		r->message = whole;
	} else {
		buf_fini(&whole);
	}
	return 0;
}

static void unmask(struct ws_reader *r, unsigned char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		data[i] ^= r->mask[(r->mask_at + i) & 3];
	r->mask_at += n;
}

static int take_payload(struct ws_reader *r, const char *data, size_t n, struct err *e)
{
	r->left -= n;
	if (r->op >= WS_CLOSE) {
		memcpy(r->control + r->control_len, data, n);
		unmask(r, r->control + r->control_len, n);
		r->control_len += n;
	} else {
		if (!buf_add(&r->message, data, n))
			return err_set(e, EPROTO, "a WebSocket message of more than %zu bytes",
				       r->max_message);
		unmask(r, (unsigned char *)r->message.data + r->message.len - n, n);
	}
	return 0;
}

int ws_reader_feed(struct ws_reader *r, const char *data, size_t len, struct err *e)
{
	int rc = 0;
	while (!rc && !r->closed && (len || (r->in_payload && !r->left))) {
		if (r->in_payload && !r->left) {
			rc = end_frame(r, e);
		} else if (r->in_payload) {
			size_t n = len < r->left ? len : (size_t)r->left;
			rc = take_payload(r, data, n, e);
			data += n;
			len -= n;
		} else {
			r->head[r->head_len++] = (unsigned char)*data++;
			len--;
			if (r->head_len == 2)
				rc = check_start(r, e);
			if (!rc && r->head_len >= 2 && r->head_len == r->head_need)
				rc = start_payload(r, e);
		}
	}
	return rc;
}
