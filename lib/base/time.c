/* time.c - see time.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void time_format(int64_t wall_ms, char out[TIME_TEXT_LEN])
{
	int64_t ms = wall_ms % 1000;
	time_t sec = (time_t)(wall_ms / 1000 - (ms < 0));
	if (ms < 0)
		ms += 1000;
	struct tm tm;
	gmtime_r(&sec, &tm);
	char text[40];
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, TIME_TEXT_LEN, "%.19s.%03dZ", text, (int)ms);
}

/* Exactly n digits, as a number in [low, high]. */
static bool digits(const char **s, int n, int low, int high, int *out)
{
	*out = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*out = *out * 10 + (**s - '0');
	}
	return *out >= low && *out <= high;
}

static bool literal(const char **s, char upper)
{
	if (**s != upper && **s != upper + ('a' - 'A') * (upper >= 'A'))
		return false;
	(*s)++;
	return true;
}

static bool parse_zone(const char *s, int64_t *offset_ms)
{
	int h, m, sign = *s == '-' ? -1 : 1;
	*offset_ms = 0;
	if (literal(&s, 'Z'))
		return !*s;
	if (*s != '+' && *s != '-')
		return false;
	s++;
	if (!digits(&s, 2, 0, 23, &h) || !literal(&s, ':') || !digits(&s, 2, 0, 59, &m) || *s)
		return false;
	*offset_ms = sign * (int64_t)(h * 60 + m) * 60000;
	return true;
}

static bool parse_fraction(const char **s, int64_t *ms)
{
	*ms = 0;
	if (**s != '.')
		return true;
	const char *first = ++*s;
	for (int64_t unit = 100; **s >= '0' && **s <= '9'; (*s)++, unit /= 10)
		*ms += (**s - '0') * unit;
	return *s > first;
}

static bool parse_date(const char **s, struct tm *tm)
{
	static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, m, d;
	if (!digits(s, 4, 0, 9999, &y) || !literal(s, '-') || !digits(s, 2, 1, 12, &m) ||
	    !literal(s, '-') || !digits(s, 2, 1, month_days[m - 1], &d))
		return false;
	if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
		return false;
	*tm = (struct tm){.tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d};
	return true;
}

bool time_parse(const char *s, int64_t *wall_ms)
{
	struct tm tm;
	int64_t ms, offset;
	/* 60: a leap second, which becomes the next minute. */
	if (!parse_date(&s, &tm) || !literal(&s, 'T') || !digits(&s, 2, 0, 23, &tm.tm_hour) ||
	    !literal(&s, ':') || !digits(&s, 2, 0, 59, &tm.tm_min) || !literal(&s, ':') ||
	    !digits(&s, 2, 0, 60, &tm.tm_sec) || !parse_fraction(&s, &ms) ||
	    !parse_zone(s, &offset))
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
