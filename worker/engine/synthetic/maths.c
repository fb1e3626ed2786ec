/* maths.c - see maths.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/maths.h"

#define TURN 6.283185307179586

/* floor() as an integer, without a call. */
static int64_t whole(double v)
{
	int64_t i = (int64_t)v;
	return i - (v < (double)i);
}

/* Folded to a quarter turn, then Taylor to the ninth power: right to 4e-6. */
double sin_turn(double turns)
{
	double t = turns - (double)whole(turns + 0.5);
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
	return mix32(seed * UINT32_C(0x27d4eb2f) + (uint32_t)x * UINT32_C(0x9e3779b1) +
		     ((uint32_t)y * UINT32_C(0x85ebca77) ^ UINT32_C(0x68e31da4)));
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
	int64_t i = whole(x);
	return lerp(hash2(seed, i, 0), hash2(seed, i + 1, 0), fade(x - (double)i));
}

double noise2(uint32_t seed, double x, double y)
{
	int64_t i = whole(x), j = whole(y);
	double u = fade(x - (double)i), v = fade(y - (double)j);
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

/* Both jitters come from one hash; points only move when asked to, as that costs two sines. */
static void cell_point(uint32_t seed, int64_t a, int64_t b, double phase, double *x, double *y)
{
	uint32_t h = hash_bits(seed, a, b);
	*x = (double)a + 0.15 + (h & 0xffff) * (0.7 / 65536);
	*y = (double)b + 0.15 + (h >> 16) * (0.7 / 65536);
	if (phase < 0)
		return;
	double turn = hash2(seed + 2, a, b) + phase;
	*x += 0.12 * cos_turn(turn);
	*y += 0.12 * sin_turn(turn);
}

void cell_at(uint32_t seed, double x, double y, double phase, struct cell *out)
{
	int64_t i = whole(x), j = whole(y);
	double near = 81, next = 81;
	int64_t na = i, nb = j;
	*out = (struct cell){0};
	for (int64_t b = j - 1; b <= j + 1; b++) {
		for (int64_t a = i - 1; a <= i + 1; a++) {
			double px, py;
			cell_point(seed, a, b, phase, &px, &py);
			double dx = x - px, dy = y - py, d = dx * dx + dy * dy;
			if (d < near) {
				next = near;
				near = d;
				na = a;
				nb = b;
				out->dx = dx;
				out->dy = dy;
			} else if (d < next) {
				next = d;
			}
		}
	}
	out->d1 = sqrt(near);
	out->d2 = sqrt(next);
	out->edge = (out->d2 - out->d1) * 0.5;
	out->id = hash_bits(seed + 3, na, nb);
}
