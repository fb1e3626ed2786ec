/* multipart.c - see multipart.h.
 * SPDX-License-Identifier: MIT */
#include "lib/net/multipart.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

/* ---- parameters of a header's value: ; name=token or name="quoted \" text" ---- */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

static bool is_token(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* From the opening quote; NULL when the closing one is missing. Browsers write a quote inside as
 * %22, which stays as it is, older clients as \". */
static const char *quoted(const char *s, struct buf *out)
{
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && (s[1] == '"' || s[1] == '\\'))
			s++;
		if (!buf_add(out, s, 1))
			return NULL;
	}
	return *s ? s + 1 : NULL;
}

static const char *parameter_value(const char *s, struct buf *out)
{
	if (*s == '"')
		return quoted(s, out);
	size_t n = 0;
	while (is_token(s[n]))
		n++;
	return buf_add(out, s, n) ? s + n : NULL;
}

/* The parameter `name` behind the first ';' of value, NULL when it is not there. free() it. */
static char *parameter(const char *value, const char *name)
{
	const char *s = value + strcspn(value, ";");
	while (s && *s == ';') {
		struct buf out;
		buf_init(&out, MULTIPART_MAX_HEADERS);
		s = skip_blanks(s + 1);
		size_t n = 0;
		while (is_token(s[n]))
			n++;
		bool wanted = n == strlen(name) && strncasecmp(s, name, n) == 0;
		s = skip_blanks(s + n);
		s = *s == '=' ? parameter_value(skip_blanks(s + 1), &out) : NULL;
		if (s && wanted)
			return buf_steal(&out);
		buf_fini(&out);
		s = s ? skip_blanks(s) : NULL;
	}
	return NULL;
}

/* Whether value is `type`, with or without parameters. */
static bool value_is(const char *value, const char *type)
{
	size_t n = strlen(type);
	return strncasecmp(value, type, n) == 0 && strchr("; \t", value[n]) != NULL;
}

/* ---- its life ---- */

int multipart_init(struct multipart *m, const char *content_type, const struct multipart_sink *sink,
		   void *arg, struct err *e)
{
	*m = (struct multipart){.sink = sink, .arg = arg};
	buf_init(&m->headers, MULTIPART_MAX_HEADERS);
	buf_init(&m->value, MULTIPART_MAX_FIELD);
	if (!content_type || !value_is(content_type, "multipart/form-data"))
		return err_set(e, EINVAL, "the body must be multipart/form-data");
	auto_free char *boundary = parameter(content_type, "boundary");
	size_t n = boundary ? strlen(boundary) : 0;
	if (!n || n > MULTIPART_MAX_BOUNDARY || strpbrk(boundary, "\r\n"))
		return err_set(e, EINVAL, "the multipart boundary must have 1 to %u characters",
			       MULTIPART_MAX_BOUNDARY);
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, n);
	m->delimiter_len = n + 4;
	m->matched = 2; /* the body may start with a boundary: as if a line had ended before it */
	return 0;
}

void multipart_fini(struct multipart *m)
{
	buf_fini(&m->headers);
	buf_fini(&m->value);
	free(m->name);
	m->name = NULL;
}

bool multipart_complete(const struct multipart *m)
{
	return m->state == MULTIPART_END;
}

/* ---- headers of a part ---- */

static char *header_value(const char *headers, const char *name)
{
	size_t n = strlen(name);
	for (const char *line = headers; *line;) {
		size_t len = strcspn(line, "\r\n");
		if (len > n && strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *value = skip_blanks(line + n + 1);
			return xstrndup(value, len - (size_t)(value - line));
		}
		line += len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

static int start_part(struct multipart *m, struct err *e)
{
	if (memchr(m->headers.data, '\0', m->headers.len) ||
	    !utf8_valid(m->headers.data, m->headers.len))
		return err_set(e, EPROTO, "multipart headers that are not UTF-8 text");
	auto_free char *disposition = header_value(m->headers.data, "Content-Disposition");
	auto_free char *type = header_value(m->headers.data, "Content-Type");
	if (!disposition || !value_is(disposition, "form-data"))
		return err_set(e, EPROTO,
			       "a multipart part without Content-Disposition: form-data");
	auto_free char *filename = parameter(disposition, "filename");
	free(m->name);
	m->name = parameter(disposition, "name");
	if (!m->name)
		return err_set(e, EPROTO, "a multipart part without a name");
	if (++m->parts > MULTIPART_MAX_PARTS)
		return err_set(e, EMSGSIZE, "more than %u multipart parts", MULTIPART_MAX_PARTS);
	m->in_file = filename != NULL;
	m->state = MULTIPART_DATA;
	m->matched = 0;
	buf_fini(&m->headers);
	if (m->in_file)
		m->sink->file(m->arg, m->name, filename, type ? type : "application/octet-stream");
	return 0;
}

static int take_header_byte(struct multipart *m, char c, struct err *e)
{
	struct buf *h = &m->headers;
	if (!buf_add(h, &c, 1))
		return err_set(e, EMSGSIZE, "multipart headers of more than %u bytes",
			       MULTIPART_MAX_HEADERS);
	if (h->len >= 4 && memcmp(h->data + h->len - 4, "\r\n\r\n", 4) == 0)
		return start_part(m, e);
	if (h->len == 2 && memcmp(h->data, "\r\n", 2) == 0)
		return err_set(e, EPROTO, "a multipart part without headers");
	return 0;
}

/* ---- data and boundaries ---- */

static int emit(struct multipart *m, const char *data, size_t len, struct err *e)
{
	if (!len || m->state != MULTIPART_DATA)
		return 0;
	if (m->in_file)
		m->sink->data(m->arg, data, len);
	else if (!buf_add(&m->value, data, len))
		return err_set(e, EMSGSIZE, "field %.64s is longer than %u bytes", m->name,
			       MULTIPART_MAX_FIELD);
	return 0;
}

static int end_part(struct multipart *m, struct err *e)
{
	const char *text = m->value.data ? m->value.data : "";
	if (m->state == MULTIPART_DATA && !m->in_file) {
		if (!utf8_valid(text, m->value.len))
			return err_set(e, EPROTO, "field %.64s is not UTF-8", m->name);
		m->sink->field(m->arg, m->name, text, m->value.len);
	}
	buf_fini(&m->value);
	m->tail_len = 0;
	m->state = MULTIPART_BOUNDARY;
	return 0;
}

/* Goes on with a delimiter that may have begun. \r stands only at its start, so after a mismatch
 * nothing of what was held back can begin another one. Returns the bytes used or an error. */
static ssize_t match(struct multipart *m, const char *data, size_t len, struct err *e)
{
	size_t i = 0;
	int rc = 0;
	while (i < len && m->matched < m->delimiter_len && data[i] == m->delimiter[m->matched]) {
		m->matched++;
		i++;
	}
	if (m->matched == m->delimiter_len) {
		m->matched = 0;
		rc = end_part(m, e);
	} else if (i < len) {
		rc = emit(m, m->delimiter, m->matched, e);
		m->matched = 0;
	}
	return rc ? rc : (ssize_t)i;
}

static ssize_t take_data(struct multipart *m, const char *data, size_t len, struct err *e)
{
	if (m->matched)
		return match(m, data, len, e);
	const char *cr = memchr(data, '\r', len);
	size_t plain = cr ? (size_t)(cr - data) : len;
	int rc = emit(m, data, plain, e);
	if (rc)
		return rc;
	if (cr) {
		m->matched = 1;
		plain++;
	}
	return (ssize_t)plain;
}

static int take_boundary_byte(struct multipart *m, char c, struct err *e)
{
	if (m->tail_len == 0 && (c == ' ' || c == '\t'))
		return 0;
	m->tail[m->tail_len++] = c;
	if (m->tail_len < 2)
		return 0;
	if (memcmp(m->tail, "--", 2) == 0)
		m->state = MULTIPART_END;
	else if (memcmp(m->tail, "\r\n", 2) == 0)
		m->state = MULTIPART_HEADERS;
	else
		return err_set(e, EPROTO, "a broken multipart boundary");
	return 0;
}

/* One step; the bytes used or an error. */
static ssize_t step(struct multipart *m, const char *data, size_t len, struct err *e)
{
	int rc = 0;
	switch (m->state) {
	case MULTIPART_PREAMBLE:
	case MULTIPART_DATA:
		return take_data(m, data, len, e);
	case MULTIPART_BOUNDARY:
		rc = take_boundary_byte(m, *data, e);
		break;
	case MULTIPART_HEADERS:
		rc = take_header_byte(m, *data, e);
		break;
	case MULTIPART_END: /* the epilogue is nobody's */
		return (ssize_t)len;
	}
	return rc ? rc : 1;
}

int multipart_feed(struct multipart *m, const char *data, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = step(m, data, len, e);
		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}
