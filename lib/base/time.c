/* time.c - see time.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void time_format(int64_t wall_ms, char out[TIME_TEXT_LEN])
{
	int64_t ms = wall_ms % 1000;
	if (ms < 0)
		ms += 1000;
	time_t sec = (time_t)((wall_ms - ms) / 1000);
	struct tm tm;
	gmtime_r(&sec, &tm);
	char text[40];
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, TIME_TEXT_LEN, "%.19s.%03dZ", text, (int)ms);
}

static bool parse_zone(const char *s, int64_t *offset_ms)
{
	int h, m, n = 0;
	char sign;
	*offset_ms = 0;
	if ((s[0] == 'Z' || s[0] == 'z') && !s[1])
		return true;
	if (sscanf(s, "%c%2d:%2d%n", &sign, &h, &m, &n) != 3 || s[n] || h > 23 || m > 59 || h < 0 || m < 0)
		return false;
	if (sign != '+' && sign != '-')
		return false;
	*offset_ms = (sign == '+' ? 1 : -1) * (int64_t)(h * 60 + m) * 60000;
	return true;
}

bool time_parse(const char *s, int64_t *wall_ms)
{
	struct tm tm = {0};
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!p)
		return false;
	int64_t ms = 0, offset;
	if (*p == '.') {
		int64_t unit = 100;
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			ms += (*p - '0') * unit;
	}
	if (!parse_zone(p, &offset))
		return false;
	*wall_ms = (int64_t)timegm(&tm) * 1000 + ms - offset;
	return true;
}

void time_format_duration(uint64_t ms, char out[32])
{
	if (ms < 1000)
		snprintf(out, 32, "%u ms", (unsigned)ms);
	else if (ms < 60000)
		snprintf(out, 32, "%.1f s", (double)ms / 1000);
	else
		snprintf(out, 32, "%llu min %02llu s", (unsigned long long)(ms / 60000),
			 (unsigned long long)(ms / 1000 % 60));
}
