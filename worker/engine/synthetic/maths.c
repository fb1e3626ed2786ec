/* maths.c - see maths.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/maths.h"

#define TURN 6.283185307179586

/* Folded to a quarter turn, then Taylor to the ninth power: right to 4e-6. */
double sin_turn(double turns)
{
	double t = turns - floor(turns + 0.5);
	if (t > 0.25)
		t = 0.5 - t;
	else if (t < -0.25)
		t = -0.5 - t;
	double a = t * TURN, s = a * a;
	return a * (1 + s * (-1 / 6.0 + s * (1 / 120.0 + s * (-1 / 5040.0 + s / 362880.0))));
}

double cos_turn(double turns)
{
	return sin_turn(turns + 0.25);
}

double atan2_turn(double y, double x)
{
	double ax = fabs(x), ay = fabs(y), big = ax > ay ? ax : ay;
	if (big <= 0)
		return 0;
	double r = (ax < ay ? ax : ay) / big, s = r * r;
	double a = ((-0.0464964749 * s + 0.15931422) * s - 0.327622764) * s * r + r;
	a /= TURN;
	if (ay > ax)
		a = 0.25 - a;
	if (x < 0)
		a = 0.5 - a;
	return y < 0 ? -a : a;
}

static uint32_t mix32(uint32_t h)
{
	h ^= h >> 16;
	h *= UINT32_C(0x7feb352d);
	h ^= h >> 15;
	h *= UINT32_C(0x846ca68b);
	return h ^ (h >> 16);
}

static uint32_t hash_bits(uint32_t seed, int64_t x, int64_t y)
{
	uint32_t h = mix32(seed ^ ((uint32_t)x * UINT32_C(0x9e3779b1)));
	return mix32(h ^ ((uint32_t)y * UINT32_C(0x85ebca77)));
}

double hash2(uint32_t seed, int64_t x, int64_t y)
{
	return hash_bits(seed, x, y) / 4294967296.0;
}

static double fade(double t)
{
	return t * t * t * (t * (t * 6 - 15) + 10);
}

double noise1(uint32_t seed, double x)
{
	double fx = floor(x);
	int64_t i = (int64_t)fx;
	return lerp(hash2(seed, i, 0), hash2(seed, i + 1, 0), fade(x - fx));
}

double noise2(uint32_t seed, double x, double y)
{
	double fx = floor(x), fy = floor(y), u = fade(x - fx), v = fade(y - fy);
	int64_t i = (int64_t)fx, j = (int64_t)fy;
	double top = lerp(hash2(seed, i, j), hash2(seed, i + 1, j), u);
	double low = lerp(hash2(seed, i, j + 1), hash2(seed, i + 1, j + 1), u);
	return lerp(top, low, v);
}

double fbm1(uint32_t seed, double x, int octaves)
{
	double sum = 0, amp = 0.5, total = 0;
	for (int o = 0; o < octaves; o++, amp *= 0.5, x = x * 2 + 17.3) {
		sum += amp * noise1(seed + (uint32_t)o, x);
		total += amp;
	}
	return sum / total;
}

double fbm2(uint32_t seed, double x, double y, int octaves)
{
	double sum = 0, amp = 0.5, total = 0;
	for (int o = 0; o < octaves; o++, amp *= 0.5) {
		sum += amp * noise2(seed + (uint32_t)o, x, y);
		total += amp;
		/* Turned between octaves, so that the lattice does not show. */
		double nx = 1.6 * x + 1.2 * y + 17.3;
		y = 1.6 * y - 1.2 * x + 9.1;
		x = nx;
	}
	return sum / total;
}

void cell_at(uint32_t seed, double x, double y, double phase, struct cell *out)
{
	int64_t i = (int64_t)floor(x), j = (int64_t)floor(y);
	*out = (struct cell){.d1 = 9, .d2 = 9};
	for (int64_t b = j - 1; b <= j + 1; b++) {
		for (int64_t a = i - 1; a <= i + 1; a++) {
			double turn = hash2(seed + 2, a, b) + phase;
			double px =
			    (double)a + 0.15 + 0.7 * hash2(seed, a, b) + 0.12 * cos_turn(turn);
			double py =
			    (double)b + 0.15 + 0.7 * hash2(seed + 1, a, b) + 0.12 * sin_turn(turn);
			double d = length2(x - px, y - py);
			if (d < out->d1) {
				out->d2 = out->d1;
				out->d1 = d;
				out->id = hash_bits(seed + 3, a, b);
				out->dx = x - px;
				out->dy = y - py;
			} else if (d < out->d2) {
				out->d2 = d;
			}
		}
	}
	out->edge = (out->d2 - out->d1) * 0.5;
}
