/* scan.c - see scan.h. SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/scan.h"

#include <errno.h>
#include <string.h>

#include "lib/base/base64.h"

static const char key[] = "b64_json";

void scan_init(struct scan *s, uint64_t max)
{
	*s = (struct scan){.max = max};
	buf_init(&s->rest, SCAN_MAX_REST);
}

void scan_fini(struct scan *s)
{
	buf_fini(&s->rest);
}

static int too_much(const struct scan *s, struct err *e)
{
	return err_set(e, EFBIG, "sd-server answered with more than %llu bytes of a picture",
		       (unsigned long long)s->max);
}

static int broken(struct err *e)
{
	return err_set(e, EPROTO, "sd-server answered with garbage: broken base64");
}

/* Up to the closing quote or the end of the data; a picture has millions of these characters. */
static int decode(struct scan *s, const char *data, size_t len, struct buf *out, struct err *e)
{
	char bytes[3072];
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int v = base64_value(data[i]);
		if (data[i] == '=' && s->n_pads < 2) {
			s->n_pads++;
			continue;
		}
		if (v < 0 || s->n_pads)
			return broken(e);
		s->bits = s->bits << 6 | (uint32_t)v;
		s->n_bits += 6;
		if (s->n_bits < 8)
			continue;
		s->n_bits -= 8;
		bytes[n++] = (char)(s->bits >> s->n_bits & 0xff);
		if (n == sizeof bytes) {
			if (!buf_add(out, bytes, n))
				return too_much(s, e);
			n = 0;
		}
	}
	return buf_add(out, bytes, n) ? 0 : too_much(s, e);
}

/* How much of the data is base64; decodes it. */
static int take_base64(struct scan *s, const char *data, size_t len, struct buf *out, size_t *n,
		       struct err *e)
{
	const char *quote = memchr(data, '"', len);
	*n = quote ? (size_t)(quote - data) : len;
	if (s->skipping)
		return 0;
	s->n_chars += *n;
	if (s->n_chars / 4 * 3 > s->max + 3)
		return too_much(s, e);
	return decode(s, data, *n, out, e);
}

bool scan_whole(const struct scan *s)
{
	return s->found && s->state != SCAN_BASE64 && s->n_chars % 4 == 0 && s->n_chars > 0;
}

static int keep(struct scan *s, char c, struct err *e)
{
	return buf_add(&s->rest, &c, 1)
		   ? 0
		   : err_set(e, EPROTO, "sd-server answered with garbage: it never ends");
}

/* Outside of strings: whether the next string is the value of b64_json. */
static void outside(struct scan *s, char c)
{
	if (c == '"') {
		s->state = s->value ? SCAN_BASE64 : SCAN_STRING;
		if (s->value) {
			s->skipping = s->found;
			s->found = true;
		}
		s->text_len = 0;
		s->is_key = s->value = false;
	} else if (c == ':' && s->is_key) {
		s->value = true;
	} else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
		s->is_key = s->value = false;
	}
}

static void inside(struct scan *s, char c)
{
	if (c == '\\') {
		s->state = SCAN_ESCAPE;
	} else if (c == '"') {
		s->state = SCAN_OUTSIDE;
		s->is_key = s->text_len == sizeof key - 1 && memcmp(s->text, key, s->text_len) == 0;
		return;
	}
	if (s->text_len < sizeof s->text)
		s->text[s->text_len++] = c;
}

static int one(struct scan *s, char c, struct err *e)
{
	switch (s->state) {
	case SCAN_BASE64: /* its end */
		s->state = SCAN_OUTSIDE;
		break;
	case SCAN_OUTSIDE:
		outside(s, c);
		break;
	case SCAN_STRING:
		inside(s, c);
		break;
	case SCAN_ESCAPE:
		s->state = SCAN_STRING;
		break;
	}
	return keep(s, c, e);
}

int scan_feed(struct scan *s, const char *data, size_t len, struct buf *out, struct err *e)
{
	int rc = 0;
	for (size_t i = 0, n = 0; i < len && rc == 0; i += n) {
		n = 1;
		if (s->state == SCAN_BASE64 && data[i] != '"')
			rc = take_base64(s, data + i, len - i, out, &n, e);
		else
			rc = one(s, data[i], e);
	}
	return rc;
}
