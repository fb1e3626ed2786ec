/* backoff.c - see backoff.h.
 * SPDX-License-Identifier: MIT */
#include "worker/session/backoff.h"

#define FIRST_MS   1000
#define LONGEST_MS 30000

uint64_t backoff_ms(uint64_t n)
{
	uint64_t ms = FIRST_MS;
	for (; n > 1 && ms < LONGEST_MS; n--)
		ms *= 2;
	return ms < LONGEST_MS ? ms : LONGEST_MS;
}

bool backoff_exhausted(uint64_t n, int64_t limit)
{
	return limit > 0 && n > (uint64_t)limit;
}
