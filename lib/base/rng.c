/* rng.c - see rng.h. xoshiro256** and splitmix64 after Blackman and Vigna (public domain).
 * SPDX-License-Identifier: MIT */
#include "lib/base/rng.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void rng_init_system(struct rng *r)
{
	*r = (struct rng){.seeded = false};
}

void rng_init_seeded(struct rng *r, uint64_t seed)
{
	r->seeded = true;
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ (z >> 31);
	}
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t next(uint64_t s[4])
{
	uint64_t out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

static void system_bytes(unsigned char *out, size_t n)
{
	while (n) {
		ssize_t got = getrandom(out, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fputs("the system gives no random numbers\n", stderr);
			abort();
		}
		out += got;
		n -= (size_t)got;
	}
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
	if (!r->seeded) {
		system_bytes(out, n);
		return;
	}
	unsigned char *p = out;
	while (n) {
		uint64_t x = next(r->s);
		size_t k = n < sizeof x ? n : sizeof x;
		memcpy(p, &x, k);
		p += k;
		n -= k;
	}
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t x;
	rng_bytes(r, &x, sizeof x);
	return x;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
	do
		x = rng_u64(r);
	while (x >= limit);
	return x % n;
}

void rng_hex(struct rng *r, char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		unsigned char b;
		rng_bytes(r, &b, 1);
		*out++ = digits[b >> 4];
		*out++ = digits[b & 15];
	}
	*out = '\0';
}

void rng_uuid(struct rng *r, char out[37])
{
	unsigned char b[16];
	rng_bytes(r, b, sizeof b);
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

bool uuid_valid(const char *s)
{
	if (strlen(s) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}
