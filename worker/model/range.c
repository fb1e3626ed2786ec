/* range.c - one stream of a download: from the network through chunks to the disk, held back when
 * the disk or the rate limit is behind; see download_internal.h.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/model/download_internal.h"
#include "worker/model/part.h"

/* Chunks of a stream that wait for the disk. Eight streams with all theirs are 3 MiB. */
#define QUEUE_ALONE  8
#define QUEUE_SHARED 2
#define SPARE_MAX    8

/* ---- chunks ---- */

static struct chunk *chunk_get(struct download *d, uint64_t at)
{
	struct list_node *n = list_pop_front(&d->spare);
	struct chunk *c = n ? list_entry(n, struct chunk, write_node) : xmalloc(sizeof *c);
	memset(c, 0, offsetof(struct chunk, data));
	c->at = at;
	c->refs = 1;
	return c;
}

void chunk_unref(struct download *d, struct chunk *c)
{
	if (!c || --c->refs)
		return;
	if (d->spare.len < SPARE_MAX)
		list_push_back(&d->spare, &c->write_node);
	else
		free(c);
}

/* ---- writing ---- */

static void write_next(struct range *r);

static void write_run(struct work *w)
{
	struct range *r = container_of(w, struct range, work);
	struct chunk *c = r->writing;
	(void)!part_write(r->d->fd, r->d->part, c->data, c->len, c->at, &r->write_err);
}

static void settle(struct range *r)
{
	if (!r->fetch && !r->writing && !r->queue.len && !r->filling)
		r->used = false;
}

static void write_after(struct work *w)
{
	struct range *r = container_of(w, struct range, work);
	struct download *d = r->d;
	struct chunk *c = steal(&r->writing);
	download_job_done(d);
	if (r->write_err.code) {
		/* A full disk may have room later, or on another machine. */
		download_fail(d, true, &r->write_err);
	} else {
		(void)extents_add(&d->done, c->at, c->at + c->len);
		claim_written(d, c->len);
		hasher_pump(d); /* it may have waited to read this back */
	}
	chunk_unref(d, c);
	write_next(r);
	if (r->paused)
		range_wake(r);
	settle(r);
	download_pump(d);
}

static void write_next(struct range *r)
{
	if (r->writing || !r->queue.len)
		return;
	r->writing = list_entry(list_pop_front(&r->queue), struct chunk, write_node);
	r->write_err = (struct err)ERR_INIT;
	r->work = (struct work){.run = write_run, .after = write_after};
	download_submit(r->d, &r->work);
}

static void hand_over(struct range *r)
{
	struct chunk *c = steal(&r->filling);
	if (!c)
		return;
	hasher_offer(r->d, c);
	list_push_back(&r->queue, &c->write_node);
	write_next(r);
}

/* ---- receiving ---- */

static bool has_room(const struct range *r, size_t len)
{
	size_t space = r->filling ? CHUNK_BYTES - r->filling->len : 0;
	size_t most = r->d->width.want > 1 ? QUEUE_SHARED : QUEUE_ALONE;
	size_t waits = r->queue.len + (r->writing != NULL);
	return len < space || waits < most;
}

static void take(struct range *r, const unsigned char *data, size_t len)
{
	r->d->received += len;
	while (len) {
		if (!r->filling)
			r->filling = chunk_get(r->d, r->pos);
		struct chunk *c = r->filling;
		size_t n = CHUNK_BYTES - c->len < len ? CHUNK_BYTES - c->len : len;
		memcpy(c->data + c->len, data, n);
		c->len += n;
		r->pos += n;
		data += n;
		len -= n;
		if (c->len == CHUNK_BYTES)
			hand_over(r);
	}
}

static enum fetch_verdict hold_back(struct range *r)
{
	r->paused = true;
	return FETCH_PAUSE;
}

/* A stream without an announced end must not fill the disk. */
static bool endless(struct range *r, size_t len)
{
	struct err e = ERR_INIT;
	if (r->end != TOTAL_UNKNOWN || r->pos + len <= r->d->most)
		return false;
	err_set(&e, ENOSPC,
		"the server sends %s without saying how long it is, no end in sight, and disk "
		"or models_quota_gb have no more room for it",
		r->d->filename);
	download_fail(r->d, true, &e);
	return true;
}

static enum fetch_verdict on_data(void *arg, const void *data, size_t len)
{
	struct range *r = arg;
	struct download *d = r->d;
	if (!r->headed || d->state == DL_ENDING || d->changed)
		return FETCH_STOP;
	if (!d->roomy || !has_room(r, len))
		return hold_back(r);
	if (endless(r, len))
		return FETCH_STOP;
	if (!limit_take(&d->store->limit, len))
		return hold_back(r);
	uint64_t left = r->end - r->pos;
	take(r, data, len < left ? len : (size_t)left);
	if (r->pos < r->end)
		return FETCH_GO;
	/* The rest of what was asked for went to another stream, or the server sends too much. */
	r->stopped = len > left || r->end != r->asked_end;
	return r->stopped ? FETCH_STOP : FETCH_GO;
}

static bool on_head(void *arg, const struct fetch_head *h)
{
	return answer_head(arg, h);
}

static void on_end(void *arg, const struct fetch_end *end)
{
	struct range *r = arg;
	struct download *d = r->d;
	r->fetch = NULL;
	r->paused = false;
	hand_over(r);
	if (end->fault == FETCH_OK && r->headed && r->end == TOTAL_UNKNOWN)
		(void)answer_ended(r);
	bool whole = r->pos >= r->end;
	r->end = r->pos;
	settle(r);
	if (!whole && d->state != DL_ENDING && !d->changed)
		answer_fault(r, end);
	download_pump(d);
}

void range_wake(struct range *r)
{
	if (!r->fetch || !r->paused)
		return;
	r->paused = false;
	fetch_resume(r->fetch);
}

/* ---- asking ---- */

static void ask(struct range *r, const char *const *headers)
{
	static const struct fetch_events events = {on_head, on_data, on_end};
	struct download *d = r->d;
	struct fetch_request req = {
	    .url = d->url,
	    .policy = &d->store->policy,
	    .headers = headers,
	    .stall_ms = d->store->tune.stall_ms,
	    .unshared = d->width.want > 1,
	};
	r->fetch = fetch_start(d->store->deps.net, &req, &events, r);
}

void range_start(struct range *r, uint64_t from, uint64_t end)
{
	struct download *d = r->d;
	char range[80], condition[LEDGER_TAG_MAX + 16];
	const char *headers[4] = {"Accept-Encoding: identity"};
	const char *tag = d->total == TOTAL_UNKNOWN ? NULL : answer_validator(d->etag, d->modified);
	size_t n = 1;
	*r = (struct range){
	    .d = d, .used = true, .from = from, .pos = from, .end = end, .asked_end = end};
	list_init(&r->queue);
	if (end == d->total || end == TOTAL_UNKNOWN)
		snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", from);
	else
		snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64, from, end - 1);
	snprintf(condition, sizeof condition, "If-Range: %s", tag ? tag : "");
	if (!d->no_range)
		headers[n++] = range;
	if (!d->no_range && tag)
		headers[n++] = condition;
	ask(r, headers);
}

void range_stop(struct range *r)
{
	if (!r->used)
		return;
	fetch_cancel(steal(&r->fetch));
	r->paused = false;
	r->end = r->pos;
	hand_over(r);
	settle(r);
}

unsigned ranges_used(const struct download *d)
{
	unsigned n = 0;
	for (size_t i = 0; i < WIDTH_MAX; i++)
		n += d->ranges[i].used;
	return n;
}

unsigned ranges_live(const struct download *d)
{
	unsigned n = 0;
	for (size_t i = 0; i < WIDTH_MAX; i++)
		n += d->ranges[i].fetch != NULL;
	return n;
}
