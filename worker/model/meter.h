/* meter.h - bytes a second, of the last seconds.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_METER_H
#define MODEL_METER_H

#include <stdint.h>

#define METER_SAMPLES 16
#define METER_STEP_MS 250

struct meter {
	struct {
		uint64_t ms, bytes;
	} samples[METER_SAMPLES];
	unsigned n, at;
};

/* bytes: all so far; asked for at any pace. */
void meter_feed(struct meter *m, uint64_t now_ms, uint64_t bytes);
uint64_t meter_rate(const struct meter *m);

#endif
