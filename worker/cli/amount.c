/* amount.c - see amount.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/amount.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/time.h>

#include "lib/base/mem.h"

void amount_bytes(uint64_t n, char out[AMOUNT_LEN])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	size_t u = 0;
	if (n < 1000) {
		snprintf(out, AMOUNT_LEN, "%" PRIu64 " B", n);
		return;
	}
	double v = (double)n / 1000;
	/* 999.95 would be printed as 1000.0. */
	for (; v >= 999.95 && u + 1 < ARRAY_LEN(units); u++)
		v /= 1000;
	snprintf(out, AMOUNT_LEN, "%.1f %s", v, units[u]);
}

void amount_age(int64_t at_ms, int64_t now_ms, char out[AMOUNT_LEN])
{
	long long s = now_ms > at_ms ? (long long)(now_ms - at_ms) / 1000 : 0;
	if (at_ms == 0)
		snprintf(out, AMOUNT_LEN, "never");
	else if (s < 60)
		snprintf(out, AMOUNT_LEN, "%lld s", s);
	else if (s < 3600)
		snprintf(out, AMOUNT_LEN, "%lld min", s / 60);
	else if (s < 86400)
		snprintf(out, AMOUNT_LEN, "%lld h", s / 3600);
	else
		snprintf(out, AMOUNT_LEN, "%lld d", s / 86400);
}

int64_t amount_now(void)
{
	struct timeval tv;
	gettimeofday(&tv, NULL);
	return (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}
