/* amount.h - sizes and ages as people read them.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_AMOUNT_H
#define CLI_AMOUNT_H

#include <stdint.h>

#define AMOUNT_LEN 24 /* with '\0' */

void amount_bytes(uint64_t n, char out[AMOUNT_LEN]); /* "870 B", "4.9 GB"; powers of 1000 */
/* "12 s", "3 min", "5 h", "40 d" before now; "never" for 0. */
void amount_age(int64_t at_ms, int64_t now_ms, char out[AMOUNT_LEN]);
int64_t amount_now(void); /* since 1970 UTC, ms */

#endif
