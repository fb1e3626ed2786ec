/* color.h - colours in linear light, and palettes that go together.
 * SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_COLOR_H
#define SYNTHETIC_COLOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rng.h"
#include "worker/engine/synthetic/maths.h"

struct rgb {
	double r, g, b; /* linear light, 0..1 */
};

#define PALETTE_LEN 5
struct palette {
	bool dark;
	struct rgb ground;	   /* background */
	struct rgb ink;		   /* darkest */
	struct rgb paper;	   /* lightest */
	struct rgb c[PALETTE_LEN]; /* accents, from the calmest to the loudest */
};

/* OKLCH: lightness 0..1, chroma, hue in turns; chroma is lowered until sRGB can show it. */
struct rgb rgb_oklch(double l, double c, double hue);
void palette_init(struct palette *p, struct rng *rng);
/* A smooth way through the five accents, t in 0..1. */
struct rgb palette_ramp(const struct palette *p, double t);

#define CURVE_LEN 8192
/* The sRGB curve as a table: linear light to a byte's value times 256. */
struct curve {
	uint16_t v[CURVE_LEN + 1];
};
void curve_init(struct curve *c);
/* `grain` is added in steps of a byte. */
static inline uint8_t curve_byte(const struct curve *c, double linear, double grain)
{
	double v = c->v[(int)(clamp01(linear) * CURVE_LEN + 0.5)] / 256.0 + grain;
	return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5);
}

static inline struct rgb rgb_mix(struct rgb a, struct rgb b, double t)
{
	return (struct rgb){lerp(a.r, b.r, t), lerp(a.g, b.g, t), lerp(a.b, b.b, t)};
}

static inline struct rgb rgb_scale(struct rgb a, double k)
{
	return (struct rgb){a.r * k, a.g * k, a.b * k};
}

/* b added as light. */
static inline struct rgb rgb_glow(struct rgb a, struct rgb b, double t)
{
	return (struct rgb){a.r + b.r * t, a.g + b.g * t, a.b + b.b * t};
}

#endif
