/* backoff.h - how long to wait after the n-th failure in a row (docs/protocol.md, section 6).
 * SPDX-License-Identifier: MIT */
#ifndef SESSION_BACKOFF_H
#define SESSION_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* min(1 s * 2^(n-1), 30 s), for n >= 1. */
uint64_t backoff_ms(uint64_t n);
/* Whether the n-th failure in a row was one too many; limit 0: never. */
bool backoff_exhausted(uint64_t n, int64_t limit);

#endif
