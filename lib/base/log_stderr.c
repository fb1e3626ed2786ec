/* log_stderr.c - see log_stderr.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/log_stderr.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"

/* An 8 KiB message of nothing but escapes, with its frame. */
#define LINE_MAX_BYTES ((size_t)64 * 1024)

bool log_format_parse(const char *s, enum log_format *format)
{
	static const char *const names[] = {"auto", "human", "json"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(s, names[i]) == 0) {
			*format = (enum log_format)i;
			return true;
		}
	}
	return false;
}

/* What does not fit in a line is left out: a log line is never an error. */
static void add(struct buf *b, const char *text)
{
	(void)!buf_add(b, text, strlen(text));
}

static void add_json(struct buf *b, const char *text)
{
	add(b, "\"");
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20)
			(void)!buf_printf(b, "\\u%04x", (unsigned)*text);
		else if (*text == '"' || *text == '\\')
			(void)!buf_printf(b, "\\%c", *text);
		else
			(void)!buf_add(b, text, 1);
	}
	add(b, "\"");
}

static void add_field(struct buf *b, const char *lead, const char *value)
{
	auto_free char *clean = xstrdup(value);
	utf8_clean(clean);
	add(b, lead);
	add_json(b, clean);
}

static void format_json(struct buf *b, const struct log_entry *e)
{
	char ts[TIME_TEXT_LEN];
	time_format(e->wall_ms, ts);
	add_field(b, "{\"ts\":", ts);
	add_field(b, ",\"level\":", log_level_name(e->level));
	add_field(b, ",\"category\":", e->category);
	add_field(b, ",\"message\":", e->message);
	if (e->job_id)
		add_field(b, ",\"jobId\":", e->job_id);
	add(b, "}\n");
}

static void add_local_time(struct buf *b, int64_t wall_ms)
{
	time_t sec = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[16];
	localtime_r(&sec, &tm);
	strftime(text, sizeof text, "%H:%M:%S", &tm);
	(void)!buf_printf(b, "%s.%03d ", text, (int)(wall_ms % 1000));
}

static void add_clean(struct buf *b, const char *text)
{
	auto_free char *clean = xstrdup(text);
	utf8_clean(clean);
	add(b, clean);
}

static void format_human(struct buf *b, const struct log_entry *e, bool colour)
{
	static const char *const tags[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
	/* Readable on a light and on a dark ground: yellow is not. */
	static const char *const colours[] = {"\x1b[2m", "\x1b[32m", "\x1b[35m", "\x1b[1;31m"};
	add_local_time(b, e->wall_ms);
	if (colour)
		add(b, colours[e->level]);
	add(b, tags[e->level]);
	if (colour)
		add(b, "\x1b[0m");
	(void)!buf_printf(b, " %s: ", e->category);
	add_clean(b, e->message);
	if (e->job_id && !strstr(e->message, e->job_id)) {
		add(b, " (job ");
		add_clean(b, e->job_id);
		add(b, ")");
	}
	add(b, "\n");
}

/* One write a line where it can be, so that lines of several programs do not mix. */
static void put(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

static void write_entry(struct log_sink *sink, const struct log_entry *e)
{
	struct log_stderr *s = container_of(sink, struct log_stderr, sink);
	if (!log_filter_passes(&s->filter, e->category, e->level))
		return;
	struct buf b;
	buf_init(&b, LINE_MAX_BYTES);
	if (s->format == LOG_FORMAT_JSON)
		format_json(&b, e);
	else
		format_human(&b, e, s->colour);
	put(s->fd, b.data, b.len);
	buf_fini(&b);
}

void log_stderr_init(struct log_stderr *s, int fd, enum log_format format,
		     const struct log_filter *filter)
{
	bool terminal = isatty(fd) == 1;
	const char *no_colour = getenv("NO_COLOR");
	*s = (struct log_stderr){
	    .sink.write = write_entry,
	    .filter = *filter,
	    .format = format,
	    .colour = terminal && !(no_colour && no_colour[0]),
	    .fd = fd,
	};
	if (format == LOG_FORMAT_AUTO)
		s->format = terminal ? LOG_FORMAT_HUMAN : LOG_FORMAT_JSON;
}
