/* time.h - RFC 3339 UTC with milliseconds, as the wire wants it (2026-05-25T12:00:00.000Z).
 * SPDX-License-Identifier: MIT */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define TIME_TEXT_LEN 25 /* with '\0' */

void time_format(int64_t wall_ms, char out[TIME_TEXT_LEN]);
/* Accepts any fraction and a Z or +hh:mm offset; false when it is not such a time. */
bool time_parse(const char *s, int64_t *wall_ms);
/* For people: "340 ms", "1.4 s", "2 min 05 s". */
void time_format_duration(uint64_t ms, char out[32]);

#endif
