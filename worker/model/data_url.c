/* data_url.c - see data_url.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/data_url.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/base64.h"
#include "lib/base/mem.h"

bool data_url(const char *url)
{
	return strncasecmp(url, "data:", 5) == 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* out holds 3 bytes for 4 characters. false for what is no base64. */
static bool decode(const char *s, unsigned char *out, size_t *len)
{
	uint32_t bits = 0;
	unsigned n = 0, pads = 0;
	*len = 0;
	for (; *s; s++) {
		if (blank(*s))
			continue;
		int v = base64_value(*s);
		if (*s == '=' ? ++pads > 2 : v < 0 || pads)
			return false;
		if (*s == '=')
			continue;
		bits = bits << 6 | (uint32_t)v;
		if (++n % 4 == 0) {
			out[(*len)++] = (unsigned char)(bits >> 16);
			out[(*len)++] = (unsigned char)(bits >> 8);
			out[(*len)++] = (unsigned char)bits;
		}
	}
	unsigned rest = n % 4;
	if (rest == 1 || (pads && (n + pads) % 4))
		return false;
	if (rest)
		out[(*len)++] = (unsigned char)(bits >> (rest == 2 ? 4 : 10));
	if (rest == 3)
		out[(*len)++] = (unsigned char)(bits >> 2);
	return true;
}

int data_url_decode(const char *url, size_t max, unsigned char **data, size_t *len, struct err *e)
{
	const char *comma = strchr(url, ',');
	size_t tail = strlen(";base64");
	*data = NULL;
	if (!data_url(url) || !comma || (size_t)(comma - url) < 5 + tail ||
	    strncasecmp(comma - tail, ";base64", tail) != 0)
		return err_set(e, EINVAL,
			       "a data: address must hold base64 "
			       "(data:image/png;base64,…)");
	size_t most = strlen(comma + 1) / 4 * 3 + 3;
	if (most / 2 > max) /* blanks may make it look larger, but not twice as large */
		return err_set(e, EFBIG, "the data: address holds more than the %zu bytes allowed",
			       max);
	unsigned char *out = xmalloc(most);
	if (!decode(comma + 1, out, len) || *len > max || !*len) {
		size_t got = *len;
		free(out);
		if (got > max)
			return err_set(e, EFBIG,
				       "the data: address holds more than the %zu bytes "
				       "allowed",
				       max);
		return err_set(e, EINVAL, "the data: address holds no proper base64");
	}
	*data = out;
	return 0;
}
