/* log_stderr.h - the sink that writes log lines to a descriptor: for people on a terminal, as JSON
 * lines for everything else. SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_STDERR_H
#define BASE_LOG_STDERR_H

#include "lib/base/log_filter.h"

enum log_format {
	LOG_FORMAT_AUTO,  /* human on a terminal, else JSON */
	LOG_FORMAT_HUMAN, /* 12:00:00.123 INFO  ws: server welcomed … (job 17), local time */
	LOG_FORMAT_JSON	  /* {"ts","level","category","message","jobId"?}, one a line, UTC */
};

struct log_stderr {
	struct log_sink sink;
	struct log_filter filter;
	enum log_format format;
	bool colour; /* set on a terminal unless $NO_COLOR is */
	int fd;
};

bool log_format_parse(const char *s, enum log_format *format); /* "auto", "human", "json" */
/* fd: 2 in the programs. Attach &s->sink with log_add_sink(). A line the descriptor does not take
 * at once is lost rather than waited for, if it is non-blocking. */
void log_stderr_init(struct log_stderr *s, int fd, enum log_format format,
		     const struct log_filter *filter);

#endif
