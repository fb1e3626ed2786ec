/* meter.c - see meter.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/meter.h"

void meter_feed(struct meter *m, uint64_t now_ms, uint64_t bytes)
{
	unsigned last = (m->at + METER_SAMPLES - 1) % METER_SAMPLES;
	if (m->n && now_ms - m->samples[last].ms < METER_STEP_MS)
		return;
	m->samples[m->at].ms = now_ms;
	m->samples[m->at].bytes = bytes;
	m->at = (m->at + 1) % METER_SAMPLES;
	if (m->n < METER_SAMPLES)
		m->n++;
}

uint64_t meter_rate(const struct meter *m)
{
	unsigned last = (m->at + METER_SAMPLES - 1) % METER_SAMPLES;
	unsigned first = (m->at + METER_SAMPLES - m->n) % METER_SAMPLES;
	if (m->n < 2)
		return 0;
	uint64_t ms = m->samples[last].ms - m->samples[first].ms;
	return ms ? (m->samples[last].bytes - m->samples[first].bytes) * 1000 / ms : 0;
}
