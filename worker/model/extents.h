/* extents.h - which bytes of a file are there: sorted spans that neither touch nor overlap.
 * A download has at most one gap a stream, so a few are enough; what would not fit is forgotten,
 * which costs bytes and never claims any.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_EXTENTS_H
#define MODEL_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENTS_MAX 48

struct extent {
	uint64_t from, to; /* [from, to) */
};
struct extents {
	struct extent spans[EXTENTS_MAX];
	size_t n;
};

/* False when there was no room: nothing changed. Empty spans are no spans. */
bool extents_add(struct extents *x, uint64_t from, uint64_t to);
uint64_t extents_bytes(const struct extents *x);
/* Up to where the file is whole from `from` on; `from` when nothing is there. */
uint64_t extents_reach(const struct extents *x, uint64_t from);
/* The first gap in [from, total); false when there is none. */
bool extents_gap(const struct extents *x, uint64_t from, uint64_t total, struct extent *gap);

#endif
