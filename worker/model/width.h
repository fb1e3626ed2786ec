/* width.h - how many streams a download should have: one at first, more while the total rate grows
 * by them, fewer again where it did not. Pure: it is told the time and the bytes.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_WIDTH_H
#define MODEL_WIDTH_H

#include <stdbool.h>
#include <stdint.h>

#define WIDTH_MAX 8
/* One stream that is as fast as this (2.4 Gbit/s) fills the machine; more only get in its way. */
#define WIDTH_ENOUGH (UINT64_C(300) * 1000 * 1000)

enum width_phase { WIDTH_SETTLING, WIDTH_MEASURING, WIDTH_HOLDING };
struct width {
	unsigned want;	  /* streams */
	unsigned proven;  /* the last count that paid; 0: none measured yet */
	uint64_t rate;	  /* at `proven`, bytes a second */
	uint64_t since;	  /* when the present phase began, ms */
	uint64_t bytes;	  /* then */
	uint64_t hold_ms; /* how long to leave it when more did not help */
	enum width_phase phase;
};

void width_init(struct width *w, uint64_t now_ms);
/* To be called every 50 to 100 ms. bytes: received since the start by all streams. ready: all
 * streams that are wanted (or possible) deliver. limited: something else than the network sets the
 * pace. */
void width_tick(struct width *w, uint64_t now_ms, uint64_t bytes, bool ready, bool limited);
/* A stream failed while `others` went on: as many are what the server bears. */
void width_failed(struct width *w, uint64_t now_ms, unsigned others);

#endif
