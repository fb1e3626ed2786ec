/* width.c - see width.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/width.h"

/* New streams are in slow start for a while; then the window must be long enough for the noise of
 * a link, and short enough that a file of seconds still gets its streams. */
#define SETTLE_MS  60
#define PATIENT_MS 3000 /* for a stream that does not begin */
#define MEASURE_MS 200
#define HOLD_MS	   3000
#define HOLD_MAX   60000
/* Of the gain that would be perfect, what must be seen to go on. */
#define GAIN 0.25

static void enter(struct width *w, enum width_phase phase, uint64_t now, uint64_t bytes)
{
	w->phase = phase;
	w->since = now;
	w->bytes = bytes;
}

void width_init(struct width *w, uint64_t now_ms)
{
	*w = (struct width){.want = 1, .hold_ms = HOLD_MS};
	enter(w, WIDTH_SETTLING, now_ms, 0);
}

static void hold(struct width *w, uint64_t now, uint64_t bytes)
{
	enter(w, WIDTH_HOLDING, now, bytes);
	w->hold_ms = w->hold_ms * 2 > HOLD_MAX ? HOLD_MAX : w->hold_ms * 2;
}

/* Twice as many while that pays, by one once it did not. */
static unsigned next(const struct width *w)
{
	unsigned n = w->hold_ms == HOLD_MS ? w->want * 2 : w->want + 1;
	return n > WIDTH_MAX ? WIDTH_MAX : n;
}

static bool paid(const struct width *w, uint64_t rate)
{
	if (!w->proven || w->want <= w->proven)
		return true;
	double more = (double)w->want / w->proven - 1;
	return (double)rate >= (double)w->rate * (1 + GAIN * more);
}

static void judge(struct width *w, uint64_t now, uint64_t bytes, uint64_t rate, bool limited)
{
	if (!paid(w, rate)) {
		w->want = w->proven;
		hold(w, now, bytes);
		return;
	}
	w->proven = w->want;
	w->rate = rate;
	if (limited || rate >= WIDTH_ENOUGH || w->want == WIDTH_MAX) {
		enter(w, WIDTH_HOLDING, now, bytes);
		return;
	}
	w->want = next(w);
	enter(w, WIDTH_SETTLING, now, bytes);
}

void width_tick(struct width *w, uint64_t now_ms, uint64_t bytes, bool ready, bool limited)
{
	uint64_t ms = now_ms - w->since;
	switch (w->phase) {
	case WIDTH_SETTLING:
		if (!ready && ms < PATIENT_MS)
			w->bytes = bytes;
		else if (ms >= SETTLE_MS)
			enter(w, WIDTH_MEASURING, now_ms, bytes);
		break;
	case WIDTH_MEASURING:
		if (ms >= MEASURE_MS)
			judge(w, now_ms, bytes, (bytes - w->bytes) * 1000 / ms, limited);
		break;
	case WIDTH_HOLDING:
		if (ms < w->hold_ms)
			break;
		w->proven = 0; /* the link may be another by now: measured anew, then one more */
		enter(w, WIDTH_MEASURING, now_ms, bytes);
		break;
	}
}

void width_failed(struct width *w, uint64_t now_ms, unsigned others)
{
	w->want = others ? others : 1;
	w->proven = w->want;
	hold(w, now_ms, w->bytes);
}
