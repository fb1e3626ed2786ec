/* streams.c - which stream of a download gets which part of the file; see download_internal.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/download_internal.h"

#define PIECE_MAX (64u << 20)

/* What is neither written nor on its way. */
static bool first_gap(struct download *d, struct extent *gap)
{
	struct extents x = d->done;
	for (size_t i = 0; i < WIDTH_MAX; i++)
		if (d->ranges[i].used && !extents_add(&x, d->ranges[i].from, d->ranges[i].end))
			return false;
	return extents_gap(&x, 0, d->total, gap);
}

static uint64_t left_of(const struct range *r)
{
	return r->fetch && r->headed ? r->end - r->pos : 0;
}

/* Takes the later part of what the stream with most to do has left. */
static bool split(struct download *d, struct extent *gap)
{
	struct range *most = &d->ranges[0];
	uint64_t piece = d->store->tune.piece;
	for (size_t i = 1; i < WIDTH_MAX; i++)
		if (left_of(&d->ranges[i]) > left_of(most))
			most = &d->ranges[i];
	uint64_t left = left_of(most), keeps = left / 2;
	if (left < 2 * piece || most->end == TOTAL_UNKNOWN)
		return false;
	if (keeps > PIECE_MAX)
		keeps = PIECE_MAX; /* in order, so that the hash can follow */
	gap->to = most->end;
	most->end = most->pos + keeps;
	gap->from = most->end;
	return true;
}

/* Large pieces while much is left, small ones at the end, so that all end together. */
static uint64_t piece_end(const struct download *d, const struct extent *gap)
{
	uint64_t least = d->store->tune.piece, len = gap->to - gap->from;
	if (d->width.want <= 1)
		return gap->to;
	uint64_t piece = (d->total - extents_bytes(&d->done)) / (UINT64_C(2) * d->width.want);
	piece = piece > PIECE_MAX ? PIECE_MAX : piece < least ? least : piece;
	return len < piece + least ? gap->to : gap->from + piece;
}

static struct range *free_slot(struct download *d)
{
	for (size_t i = 0; i < WIDTH_MAX; i++)
		if (!d->ranges[i].used)
			return &d->ranges[i];
	return NULL;
}

static bool start_one(struct download *d)
{
	struct range *r = free_slot(d);
	struct extent gap;
	if (!r)
		return false;
	if (d->total == TOTAL_UNKNOWN || d->no_ranges) {
		if (ranges_used(d) || d->done.n)
			return false;
		range_start(r, 0, d->total);
		return true;
	}
	if (!first_gap(d, &gap) && (d->width.want <= ranges_live(d) || !split(d, &gap)))
		return false;
	range_start(r, gap.from, piece_end(d, &gap));
	return true;
}

static bool all_there(const struct download *d)
{
	return d->total != TOTAL_UNKNOWN && extents_reach(&d->done, 0) == d->total;
}

void streams_run(struct download *d)
{
	bool answered = d->total != TOTAL_UNKNOWN || (d->no_ranges && ranges_live(d));
	if (answered && !d->roomy) {
		room_begin(d); /* the streams wait, if there are any yet */
		return;
	}
	if (all_there(d)) {
		if (!d->jobs && !ranges_used(d) && d->hasher.pos == d->total)
			finish_begin(d);
		return;
	}
	while (!timer_running(&d->retry) && ranges_live(d) < d->width.want && start_one(d))
		;
}
