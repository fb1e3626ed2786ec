/* Multipart bodies: the first line is the Content-Type, the rest the body; fed whole and in uneven
 * pieces, which must come to the same. SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_field(void *arg, const char *name, const char *text, size_t len)
{
	if (!buf_add(arg, name, strlen(name)) || !buf_add(arg, text, len + 1))
		abort();
}

static void on_file(void *arg, const char *name, const char *filename, const char *type)
{
	if (!buf_printf(arg, "%s:%s:%s:", name, filename, type))
		abort();
}

static void on_data(void *arg, const void *data, size_t len)
{
	if (!buf_add(arg, data, len))
		abort();
}

static const struct multipart_sink sink = {on_field, on_file, on_data};

static int parse(struct buf *out, const char *type, const char *body, size_t len, bool pieces)
{
	struct multipart m;
	struct err e = ERR_INIT;
	buf_init(out, 64u << 20);
	int rc = multipart_init(&m, type, &sink, out, &e);
	for (size_t i = 0, n; rc == 0 && i < len; i += n) {
		n = pieces ? 1 + i % 7 : len;
		if (n > len - i)
			n = len - i;
		rc = multipart_feed(&m, body + i, n, &e);
	}
	if (rc == 0)
		rc = multipart_complete(&m);
	multipart_fini(&m);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	if (!end)
		return 0;
	char *type = xstrndup(text, (size_t)(end - text));
	const char *body = end + 1;
	size_t len = size - (size_t)(body - text);
	struct buf whole, cut;
	int rc_whole = parse(&whole, type, body, len, false);
	int rc_cut = parse(&cut, type, body, len, true);
	if (rc_whole != rc_cut || (rc_whole >= 0 && whole.len != cut.len) ||
	    (rc_whole >= 0 && whole.len && memcmp(whole.data, cut.data, whole.len) != 0))
		abort();
	buf_fini(&whole);
	buf_fini(&cut);
	free(type);
	return 0;
}
