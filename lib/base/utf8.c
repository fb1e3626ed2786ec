/* utf8.c - see utf8.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/utf8.h"

#include <string.h>

/* The allowed range of the second byte, by the first (Unicode, table 3-7). */
static bool second_ok(unsigned char first, unsigned char second)
{
	unsigned char low = 0x80, high = 0xbf;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	return second >= low && second <= high;
}

static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_sequence(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	if (!n)
		return 0;
	size_t len = length_of(u[0]);
	if (len > n || (len > 1 && !second_ok(u[0], u[1])))
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool utf8_valid(const char *s, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_sequence(s + i, n - i);
		if (!len)
			return false;
	}
	return true;
}

static bool is_control(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	return len == 1 ? u[0] < 0x20 || u[0] == 0x7f : len == 2 && u[0] == 0xc2 && u[1] < 0xa0;
}

void utf8_clean(char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_sequence(s + i, n - i);
		if (!len) {
			s[i] = '?';
			len = 1;
		} else if (is_control(s + i, len)) {
			memset(s + i, ' ', len);
		}
	}
}

void utf8_cut(char *s, size_t max)
{
	if (!s || strnlen(s, max + 1) <= max)
		return;
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	s[max] = '\0';
}
