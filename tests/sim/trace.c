/* trace.c - the last events, their hash, and the verdict.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

static char *next_line(struct sim *s)
{
	return s->trace[s->traced++ % TRACE_LINES];
}

static void stamp(struct sim *s, char *line)
{
	snprintf(line, TRACE_WIDTH, "%7" PRIu64 " %8.3f s  ", s->step,
		 (double)s->clock.mono_ms / 1000);
}

static void echo(const struct sim *s, const char *line)
{
	if (s->echo)
		printf("%s\n", line);
}

/* FNV-1a: two runs of a seed must give the same. */
static void digest(struct sim *s, const char *line)
{
	for (; *line; line++)
		s->hash = (s->hash ^ (unsigned char)*line) * UINT64_C(0x100000001b3);
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char *line = next_line(s);
	stamp(s, line);
	size_t used = strlen(line);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + used, TRACE_WIDTH - used, fmt, ap);
	va_end(ap);
	digest(s, line);
	echo(s, line);
}

/* Log lines may name temporary files: they are shown, not hashed. */
void sim_trace_log(struct sim *s, const char *who, const struct log_entry *e)
{
	if (e->level == LOG_LEVEL_ERROR && strstr(e->message, "impossible move"))
		sim_violation(s, "states", "%s: %s", who, e->message);
	if (e->level == LOG_LEVEL_DEBUG)
		return;
	char *line = next_line(s);
	stamp(s, line);
	size_t used = strlen(line);
	snprintf(line + used, TRACE_WIDTH - used, "%s  %s: %s", who, log_level_name(e->level),
		 e->message);
	echo(s, line);
}

void sim_trace_print(const struct sim *s)
{
	uint64_t from = s->traced > TRACE_LINES ? s->traced - TRACE_LINES : 0;
	for (uint64_t i = from; i < s->traced; i++)
		printf("  %s\n", s->trace[i % TRACE_LINES]);
}

void sim_violation(struct sim *s, const char *invariant, const char *fmt, ...)
{
	if (s->failed)
		return;
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	s->failed = true;
	snprintf(s->verdict, sizeof s->verdict, "seed %" PRIu64 ", step %" PRIu64 ": [%s] %s",
		 s->seed, s->step, invariant, text);
	sim_trace(s, "VIOLATED [%s] %s", invariant, text);
}
