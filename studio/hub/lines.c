/* lines.c - what a worker logs, on its way to the storage: capped by line, by number and by bytes,
 * so that no worker can fill the disk. SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

#define LINE_MAX_BYTES 4096 /* of the message */
#define NAME_MAX_BYTES 128  /* of the category, and of the job's id */
#define MARK_MAX_BYTES 64   /* of the level and the time */
#define BYTES_A_MS     64
#define LINES_EVERY_MS 10
#define REFILL_MAX_MS  60000 /* fills both budgets */

static size_t cost(const struct log_line *l)
{
	return strlen(l->message) + strlen(l->category) + strlen(l->level) + strlen(l->ts) +
	       (l->job_id ? strlen(l->job_id) : 0);
}

static uint64_t add_up_to(uint64_t budget, uint64_t more, uint64_t max)
{
	return budget + more > max ? max : budget + more;
}

static void refill(struct session *s)
{
	uint64_t now = clock_now(s->hub->d.clock);
	uint64_t passed = now - s->log_budget_ms;
	if (passed < LINES_EVERY_MS)
		return;
	if (passed > REFILL_MAX_MS)
		passed = REFILL_MAX_MS;
	s->log_lines = add_up_to(s->log_lines, passed / LINES_EVERY_MS, LOG_BURST);
	s->log_bytes = add_up_to(s->log_bytes, passed * BYTES_A_MS, LOG_BURST_BYTES);
	s->log_budget_ms = now;
}

static void cut_line(struct log_line *l)
{
	utf8_cut(l->message, LINE_MAX_BYTES);
	utf8_cut(l->category, NAME_MAX_BYTES);
	utf8_cut(l->job_id, NAME_MAX_BYTES);
	utf8_cut(l->level, MARK_MAX_BYTES);
	utf8_cut(l->ts, MARK_MAX_BYTES);
}

/* How many of the lines may be stored. */
static size_t take(struct session *s, const struct log_line *lines, size_t n)
{
	size_t taken = 0;
	refill(s);
	while (taken < n && s->log_lines && cost(&lines[taken]) <= s->log_bytes) {
		s->log_bytes -= cost(&lines[taken]);
		s->log_lines--;
		taken++;
	}
	if (taken < n)
		log_warn(s->hub->d.log, "hub", NULL, "%s sends too many log lines: %zu dropped",
			 s->worker_id, n - taken);
	return taken;
}

void session_log(struct session *s, struct log_line *lines, size_t n)
{
	struct storage *st = s->hub->d.storage;
	for (size_t i = 0; i < n; i++)
		cut_line(&lines[i]);
	n = take(s, lines, n);
	if (!n)
		return;
	struct log_record *rows = xcalloc(n, sizeof(*rows));
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct log_record){
		    .worker_id = s->worker_id,
		    .ts = lines[i].ts,
		    .level = lines[i].level,
		    .category = lines[i].category,
		    .message = lines[i].message,
		    .job_id = lines[i].job_id,
		};
	st->ops->log_append(st, rows, n, NULL, NULL);
	free(rows);
}
