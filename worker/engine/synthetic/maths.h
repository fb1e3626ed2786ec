/* maths.h - curves, noise and edges for drawing.
 * Only + - * / and square roots, never libm's transcendental functions: the pixels are then the
 * same on every machine. SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_MATHS_H
#define SYNTHETIC_MATHS_H

#include <math.h>
#include <stdint.h>

/* Angles are in turns: 1.0 is the full circle. */
double sin_turn(double turns);
double cos_turn(double turns);
double atan2_turn(double y, double x); /* in [-0.5, 0.5] */

/* Noise with the lattice of `seed`; hashes are in [0, 1). */
double hash2(uint32_t seed, int64_t x, int64_t y);
double noise1(uint32_t seed, double x);		   /* in [0, 1) */
double noise2(uint32_t seed, double x, double y);  /* in [0, 1) */
double fbm1(uint32_t seed, double x, int octaves); /* about [0, 1), mean 0.5 */
double fbm2(uint32_t seed, double x, double y, int octaves);

struct cell {
	double d1, d2; /* distance to the nearest and the second nearest point */
	double edge;   /* about the distance to the border between the two */
	uint32_t id;   /* of the nearest */
	double dx, dy; /* from the nearest point */
};
/* Points jittered on a unit lattice, moving on small circles by `phase` turns; a negative phase: at
 * rest. */
void cell_at(uint32_t seed, double x, double y, double phase, struct cell *out);

static inline double clamp01(double v)
{
	return v < 0 ? 0 : v > 1 ? 1 : v;
}

static inline double lerp(double a, double b, double t)
{
	return a + (b - a) * t;
}

static inline double smooth(double lo, double hi, double v)
{
	double t = clamp01((v - lo) / (hi - lo));
	return t * t * (3 - 2 * t);
}

static inline double length2(double x, double y)
{
	return sqrt(x * x + y * y);
}

#endif
