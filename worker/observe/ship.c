/* ship.c - the queue of log lines on their way to the studio.
 * Oldest first: batch in flight, then a gap (lines dropped since, not yet an entry), then the
 * queue. A gap becomes an entry of its own as soon as something else has to know its place.
 * SPDX-License-Identifier: MIT */
#include "worker/observe/ship.h"

#include <string.h>

#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "lib/wire/frame.h"

#define MAX_ENTRIES 5000
#define MAX_BYTES   (8u << 20) /* of text, so that long lines can't eat the memory of the machine */
#define BATCH_LINES 500
#define BATCH_BYTES (512u << 10) /* far below FRAME_MAX_BYTES, however the text is escaped */

struct entry {
	struct list_node node;
	int64_t wall_ms;
	enum log_level level;
	char *category, *job_id, *message;
	uint64_t dropped; /* not 0: this entry stands for so many dropped lines */
};

struct ship {
	struct log *log;
	struct log_sink sink;
	struct list queue, in_flight;
	size_t bytes;
	uint64_t gap;	     /* lines dropped in front of the queue */
	int64_t gap_wall_ms; /* when the last of them was dropped */
};

/* Programs and peers may log any bytes; the wire takes UTF-8 only. */
static char *dup_clean(const char *s)
{
	char *copy = xstrdup(s);
	utf8_clean(copy);
	return copy;
}

static size_t entry_bytes(const struct entry *en)
{
	return strlen(en->message) + (en->job_id ? strlen(en->job_id) : 0);
}

static void entry_free(struct entry *en)
{
	free(en->category);
	free(en->job_id);
	free(en->message);
	free(en);
}

static struct entry *entry_of_gap(uint64_t dropped, int64_t wall_ms)
{
	struct entry *en = xcalloc(1, sizeof *en);
	en->wall_ms = wall_ms;
	en->level = LOG_LEVEL_WARN;
	en->category = xstrdup("log");
	en->message = xasprintf("%llu log lines dropped: the queue to the studio was full",
				(unsigned long long)dropped);
	en->dropped = dropped;
	return en;
}

static void drop_oldest(struct ship *s)
{
	struct entry *en = list_entry(list_pop_front(&s->queue), struct entry, node);
	s->bytes -= entry_bytes(en);
	s->gap += en->dropped ? en->dropped : 1;
	s->gap_wall_ms = en->wall_ms;
	entry_free(en);
}

/* What is in flight may already be with the studio, so it is never dropped. */
static void trim(struct ship *s)
{
	while (!list_empty(&s->queue) && (ship_len(s) > MAX_ENTRIES || s->bytes > MAX_BYTES))
		drop_oldest(s);
}

static void sink_write(struct log_sink *sink, const struct log_entry *e)
{
	struct ship *s = container_of(sink, struct ship, sink);
	if (e->level < LOG_LEVEL_INFO)
		return;
	struct entry *en = xcalloc(1, sizeof *en);
	en->wall_ms = e->wall_ms;
	en->level = e->level;
	en->category = dup_clean(e->category);
	en->job_id = e->job_id ? dup_clean(e->job_id) : NULL;
	en->message = dup_clean(e->message);
	list_push_back(&s->queue, &en->node);
	s->bytes += entry_bytes(en);
	trim(s);
}

struct ship *ship_new(struct log *log)
{
	struct ship *s = xcalloc(1, sizeof *s);
	s->log = log;
	s->sink.write = sink_write;
	list_init(&s->queue);
	list_init(&s->in_flight);
	log_add_sink(log, &s->sink);
	return s;
}

static void clear(struct list *l)
{
	list_each_safe (it, l)
		entry_free(list_entry(it, struct entry, node));
	list_init(l);
}

void ship_free(struct ship *s)
{
	if (!s)
		return;
	log_remove_sink(s->log, &s->sink);
	clear(&s->queue);
	clear(&s->in_flight);
	free(s);
}

size_t ship_len(const struct ship *s)
{
	return s->queue.len + s->in_flight.len + (s->gap ? 1 : 0);
}

static void close_gap(struct ship *s)
{
	if (!s->gap)
		return;
	struct entry *en = entry_of_gap(s->gap, s->gap_wall_ms);
	s->bytes += entry_bytes(en);
	s->gap = 0;
	list_push_front(&s->queue, &en->node);
}

static void pick_batch(struct ship *s)
{
	size_t bytes = 0;
	while (!list_empty(&s->queue) && s->in_flight.len < BATCH_LINES) {
		struct entry *en = list_entry(list_first(&s->queue), struct entry, node);
		bytes += entry_bytes(en);
		if (bytes > BATCH_BYTES && !list_empty(&s->in_flight))
			break;
		list_remove(&s->queue, &en->node);
		list_push_back(&s->in_flight, &en->node);
	}
}

static char *encode_batch(const struct ship *s)
{
	size_t n = 0;
	struct log_line *lines = xcalloc(s->in_flight.len, sizeof *lines);
	char(*times)[TIME_TEXT_LEN] = xcalloc(s->in_flight.len, sizeof *times);
	list_each (it, &s->in_flight) {
		struct entry *en = list_entry(it, struct entry, node);
		time_format(en->wall_ms, times[n]);
		lines[n] = (struct log_line){
		    .ts = times[n],
		    .level = (char *)log_level_name(en->level),
		    .category = en->category,
		    .message = en->message,
		    .job_id = en->job_id,
		};
		n++;
	}
	char *frame = frame_log_batch(lines, n);
	free(lines);
	free(times);
	return frame;
}

char *ship_take(struct ship *s)
{
	if (!list_empty(&s->in_flight))
		return NULL;
	close_gap(s);
	pick_batch(s);
	return list_empty(&s->in_flight) ? NULL : encode_batch(s);
}

void ship_confirm(struct ship *s)
{
	list_each (it, &s->in_flight)
		s->bytes -= entry_bytes(list_entry(it, struct entry, node));
	clear(&s->in_flight);
}

void ship_restore(struct ship *s)
{
	if (list_empty(&s->in_flight))
		return;
	close_gap(s);
	while (!list_empty(&s->in_flight)) {
		struct list_node *n = s->in_flight.head.prev;
		list_remove(&s->in_flight, n);
		list_push_front(&s->queue, n);
	}
	trim(s);
}
