/* log.h - structured log lines, handed to whatever sinks a program attaches.
 * Each program (and each simulated worker) has a struct log of its own; no global.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/list.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Valid during the call only. */
struct log_entry {
	int64_t wall_ms;
	enum log_level level;
	const char *category; /* the room: "ws", "job", "engine", … */
	const char *job_id;   /* NULL: about no job; as the peer wrote it */
	const char *message;  /* one line of valid UTF-8; control characters are spaces */
};

struct log_sink {
	struct list_node node;
	void (*write)(struct log_sink *s, const struct log_entry *e);
};

struct log {
	struct clock *clock;
	struct list sinks;
};

void log_init(struct log *l, struct clock *clock);
void log_add_sink(struct log *l, struct log_sink *s); /* the sink outlives the log or is removed */
void log_remove_sink(struct log *l, struct log_sink *s);
/* Lines over 8 KiB are cut. job_id may be NULL. */
void log_write(struct log *l, enum log_level level, const char *category, const char *job_id,
	       const char *fmt, ...) PRINTF_LIKE(5, 6);

#define log_debug(l, cat, job, ...) log_write(l, LOG_LEVEL_DEBUG, cat, job, __VA_ARGS__)
#define log_info(l, cat, job, ...)  log_write(l, LOG_LEVEL_INFO, cat, job, __VA_ARGS__)
#define log_warn(l, cat, job, ...)  log_write(l, LOG_LEVEL_WARN, cat, job, __VA_ARGS__)
#define log_error(l, cat, job, ...) log_write(l, LOG_LEVEL_ERROR, cat, job, __VA_ARGS__)

const char *log_level_name(enum log_level level); /* "debug", "info", "warn", "error" */
bool log_level_parse(const char *s, enum log_level *level);

#endif
