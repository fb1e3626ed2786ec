/* Multipart bodies: any cut of the pieces, boundaries that are none, limits.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/multipart.h"

static void on_field(void *arg, const char *name, const char *text, size_t len)
{
	assert_int_equal(text[len], '\0');
	assert_true(buf_printf(arg, "%s=", name) && buf_add(arg, text, len) &&
		    buf_add(arg, ";", 1));
}

static void on_file(void *arg, const char *name, const char *filename, const char *type)
{
	assert_true(buf_printf(arg, "%s:%s:%s:", name, filename, type));
}

static void on_data(void *arg, const void *data, size_t len)
{
	assert_true(len > 0);
	assert_true(buf_add(arg, data, len));
}

static const struct multipart_sink sink = {on_field, on_file, on_data};

/* In pieces of `step`; 0, -ENODATA when the end is missing, or the error. */
static int parse(struct buf *out, const char *type, const char *body, size_t len, size_t step,
		 struct err *e)
{
	struct multipart m;
	buf_init(out, 8u << 20);
	int rc = multipart_init(&m, type, &sink, out, e);
	while (rc == 0 && len) {
		size_t n = len < step ? len : step;
		/* A copy of exactly that size: reading beyond it shows under ASan. */
		char *piece = xmalloc(n);
		memcpy(piece, body, n);
		rc = multipart_feed(&m, piece, n, e);
		free(piece);
		body += n;
		len -= n;
	}
	if (rc == 0 && !multipart_complete(&m))
		rc = -ENODATA;
	multipart_fini(&m);
	return rc;
}

#define TYPE	   "multipart/form-data; boundary=xx"
#define PART(name) "--xx\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_PART                                                                                  \
	"--xx\r\ncontent-disposition: form-data; name=image; filename=\"a.png\"\r\n"               \
	"CONTENT-TYPE: image/png\r\n\r\n"

struct row {
	const char *body;
	size_t len;
	const char *out;
};
#define ROW(body, out)                                                                             \
	{                                                                                          \
		body, sizeof(body) - 1, out                                                        \
	}

static void bodies_in_any_pieces(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    ROW(PART("a") "1\r\n--xx--", "a=1;"),
	    ROW(PART("a") "1\r\n--xx--\r\n", "a=1;"),
	    ROW("preamble\r\n" PART("a") "1\r\n--xx--epilogue\r\n--xx\r\n", "a=1;"),
	    ROW("\r\n" PART("a") "1\r\n--xx--", "a=1;"),
	    ROW(PART("a") "\r\n--xx--", "a=;"),
	    ROW("--xx--", ""),
	    ROW(PART("a") "1\r\n" PART("b") "2\r\n" FILE_PART "data\r\n--xx--",
		"a=1;b=2;image:a.png:image/png:data"),
	    ROW(PART("a") "1\r\n--xx \t\r\nContent-Disposition: form-data; "
			  "name=b\r\n\r\n2\r\n--xx--",
		"a=1;b=2;"),
	    /* What looks like a boundary and is none. */
	    ROW(PART("a") "\r\n\r\r\n-\r\n--\r\n--x\r\n--x--xx\r\r\n--xx--",
		"a=\r\n\r\r\n-\r\n--\r\n--x\r\n--x--xx\r;"),
	    ROW(FILE_PART "\r\r\r\r\n\r\n--xx--", "image:a.png:image/png:\r\r\r\r\n"),
	    ROW(FILE_PART "--xx\r\n--xx--", "image:a.png:image/png:--xx"),
	    ROW("--xx\r\nContent-Disposition: form-data; filename=\"\"; "
		"name=\"f\"\r\n\r\n\r\n--xx--",
		"f::application/octet-stream:"),
	    ROW("--xx\r\nContent-Disposition: form-data; name=\"a\\\"b;c\"\r\n\r\n1\r\n--xx--",
		"a\"b;c=1;"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step <= rows[i].len; step++) {
			struct err e = ERR_INIT;
			struct buf out;
			int rc = parse(&out, TYPE, rows[i].body, rows[i].len, step, &e);
			const char *text = out.data ? out.data : "";
			if (rc || strcmp(text, rows[i].out) != 0)
				fail_msg("row %zu in pieces of %zu: %d %s '%s'", i, step, rc,
					 e.text, text);
			buf_fini(&out);
		}
}

static void broken_bodies(void **state)
{
	(void)state;
	static const struct {
		int rc;
		const char *body;
	} rows[] = {
	    {-ENODATA, ""},
	    {-ENODATA, "--x"},
	    {-ENODATA, "nothing at all"},
	    {-ENODATA, PART("a") "1"},
	    {-ENODATA, PART("a") "1\r\n--xx"},
	    {-ENODATA, PART("a") "1\r\n--xx-"},
	    {-ENODATA, "--xx\r\nContent-Disposition: form-data; name=a\r\n"},
	    {-EPROTO, "--xxy\r\n"},
	    {-EPROTO, PART("a") "\xff\r\n--xx--"},
	    {-EPROTO, PART("\xff") "1\r\n--xx--"},
	    {-EPROTO, "--xx\r\n\r\n1\r\n--xx--"},
	    {-EPROTO, "--xx\r\nContent-Type: x\r\n\r\n1\r\n--xx--"},
	    {-EPROTO, "--xx\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--xx--"},
	    {-EPROTO, "--xx\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xx--"},
	    {-EPROTO, "--xx\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--xx--"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step < 80; step += 13) {
			struct err e = ERR_INIT;
			struct buf out;
			int rc = parse(&out, TYPE, rows[i].body, strlen(rows[i].body), step, &e);
			if (rc != rows[i].rc)
				fail_msg("'%s': %d", rows[i].body, rc);
			buf_fini(&out);
		}
}

static void content_types(void **state)
{
	(void)state;
	static const struct {
		int rc;
		const char *type;
	} rows[] = {
	    {0, "multipart/form-data; boundary=xx"},
	    {0, "Multipart/Form-Data;charset=utf-8; Boundary=\"xx\""},
	    {-EINVAL, "multipart/form-data"},
	    {-EINVAL, "multipart/form-data; boundary="},
	    {-EINVAL, "multipart/form-data; boundary=\"xx"},
	    {-EINVAL, "multipart/form-datax; boundary=xx"},
	    {-EINVAL, "multipart/mixed; boundary=xx"},
	    {-EINVAL, "application/json"},
	    {-EINVAL, ""},
	    {-EINVAL, NULL},
	    {-EINVAL, "multipart/form-data; boundary="
		      "0123456789012345678901234567890123456789012345678901234567890123456789x"},
	};
	static const char body[] = PART("a") "1\r\n--xx--";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct buf out;
		assert_int_equal(parse(&out, rows[i].type, body, sizeof body - 1, 9, &e),
				 rows[i].rc);
		buf_fini(&out);
	}
}

static void limits(void **state)
{
	(void)state;
	struct buf body, out;
	struct err e = ERR_INIT;
	char *big = xcalloc(1, MULTIPART_MAX_FIELD + 1);
	memset(big, 'x', MULTIPART_MAX_FIELD + 1);
	buf_init(&body, 8u << 20);
	for (size_t over = 0; over < 2; over++) {
		buf_reset(&body);
		assert_true(buf_printf(&body, PART("a")) &&
			    buf_add(&body, big, MULTIPART_MAX_FIELD + over) &&
			    buf_printf(&body, "\r\n--xx--"));
		assert_int_equal(parse(&out, TYPE, body.data, body.len, 4096, &e),
				 over ? -EMSGSIZE : 0);
		buf_fini(&out);
	}
	buf_reset(&body);
	assert_true(buf_printf(&body, "--xx\r\nX: ") && buf_add(&body, big, MULTIPART_MAX_HEADERS));
	assert_int_equal(parse(&out, TYPE, body.data, body.len, 4096, &e), -EMSGSIZE);
	buf_fini(&out);
	buf_reset(&body);
	for (unsigned i = 0; i <= MULTIPART_MAX_PARTS; i++)
		assert_true(buf_printf(&body, PART("a") "\r\n"));
	assert_int_equal(parse(&out, TYPE, body.data, body.len, 4096, &e), -EMSGSIZE);
	buf_fini(&out);
	free(big);
	buf_fini(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies_in_any_pieces),
	    cmocka_unit_test(broken_bodies),
	    cmocka_unit_test(content_types),
	    cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
