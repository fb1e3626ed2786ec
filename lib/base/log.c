/* log.c - see log.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(struct log *l, struct clock *clock)
{
	l->clock = clock;
	list_init(&l->sinks);
}

void log_add_sink(struct log *l, struct log_sink *s)
{
	list_push_back(&l->sinks, &s->node);
}

void log_remove_sink(struct log *l, struct log_sink *s)
{
	list_remove(&l->sinks, &s->node);
}

void log_write(struct log *l, enum log_level level, const char *category, const char *job_id,
	       const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof text)
		memcpy(text + sizeof text - 4, "...", 4);
	utf8_clean(text);
	struct log_entry e = {clock_wall(l->clock), level, category, job_id, text};
	list_each_safe (it, &l->sinks) {
		struct log_sink *s = list_entry(it, struct log_sink, node);
		s->write(s, &e);
	}
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_level_parse(const char *s, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}
