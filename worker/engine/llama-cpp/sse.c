/* sse.c - see sse.h. Lines end with \n, \r or \r\n; an empty line ends an event.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/sse.h"

#include <errno.h>
#include <string.h>

void sse_init(struct sse *s, size_t max, const struct sse_events *ev, void *arg)
{
	*s = (struct sse){.ev = ev, .arg = arg};
	buf_init(&s->line, max);
	buf_init(&s->data, max);
}

void sse_fini(struct sse *s)
{
	buf_fini(&s->line);
	buf_fini(&s->data);
}

static int too_long(struct sse *s, struct err *e)
{
	s->stopped = true;
	return err_set(e, EMSGSIZE, "the engine sent an event of more than %zu bytes", s->data.max);
}

static int dispatch(struct sse *s, struct err *e)
{
	if (!s->has_data)
		return 0;
	s->has_data = false;
	bool more = s->ev->event(s->arg, s->data.data ? s->data.data : "", s->data.len);
	buf_reset(&s->data);
	if (more)
		return 0;
	s->stopped = true;
	return err_set(e, ECANCELED, "no more events are wanted");
}

static bool is_field(const char *line, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(line, name, len) == 0;
}

static int take_line(struct sse *s, struct err *e)
{
	const char *text = s->line.data ? s->line.data : "";
	size_t len = s->line.len;
	if (len == 0)
		return dispatch(s, e);
	if (text[0] == ':') {
		if (s->ev->comment)
			s->ev->comment(s->arg);
		return 0;
	}
	const char *colon = memchr(text, ':', len);
	size_t name = colon ? (size_t)(colon - text) : len;
	if (!is_field(text, name, "data") && !is_field(text, name, "error"))
		return 0;
	size_t at = colon ? name + 1 : len;
	if (at < len && text[at] == ' ')
		at++;
	if (s->has_data && !buf_add(&s->data, "\n", 1))
		return too_long(s, e);
	s->has_data = true;
	return buf_add(&s->data, text + at, len - at) ? 0 : too_long(s, e);
}

static int end_line(struct sse *s, struct err *e)
{
	int rc = take_line(s, e);
	buf_reset(&s->line);
	return rc;
}

int sse_feed(struct sse *s, const char *data, size_t len, struct err *e)
{
	if (s->stopped)
		return err_set(e, ECANCELED, "the stream of events ended");
	while (len) {
		if (s->after_cr && *data == '\n') {
			s->after_cr = false;
			data++;
			len--;
			continue;
		}
		s->after_cr = false;
		size_t n = 0;
		while (n < len && data[n] != '\n' && data[n] != '\r')
			n++;
		if (!buf_add(&s->line, data, n))
			return too_long(s, e);
		if (n == len)
			return 0;
		s->after_cr = data[n] == '\r';
		int rc = end_line(s, e);
		if (rc < 0)
			return rc;
		data += n + 1;
		len -= n + 1;
	}
	return 0;
}
