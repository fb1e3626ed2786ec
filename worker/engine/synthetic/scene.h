/* scene.h - one way to compose a picture; the table of them is in picture.c.
 * SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_SCENE_H
#define SYNTHETIC_SCENE_H

#include "worker/engine/synthetic/picture.h"

struct scene {
	const char *name;
	/* Chooses the parameters; does not depend on the size in pixels, only on the shape. */
	void (*setup)(struct picture *p, struct rng *rng);
	/* Colour at (x, y): the middle is 0, the shorter side spans -0.5..0.5; y points down. */
	struct rgb (*shade)(const struct picture *p, double x, double y, double phase);
};

extern const struct scene scene_hills, scene_skyline, scene_ridges; /* scene_land.c */
extern const struct scene scene_discs, scene_tiles, scene_rays;	    /* scene_shapes.c */
extern const struct scene scene_orbits;				    /* scene_orbits.c */
extern const struct scene scene_marble, scene_glass, scene_paper;   /* scene_flow.c */

static inline double rng_unit(struct rng *rng)
{
	return (double)(rng_u64(rng) >> 11) / 9007199254740992.0;
}

static inline double rng_range(struct rng *rng, double lo, double hi)
{
	return lerp(lo, hi, rng_unit(rng));
}

/* How much of the pixel lies inside an edge at distance d (negative: inside). */
static inline double inside(const struct picture *p, double d)
{
	return clamp01(0.5 - d / p->px);
}

static inline void paint(struct rgb *at, struct rgb color, double amount)
{
	*at = rgb_mix(*at, color, amount);
}

/* A soft light around (dx, dy) = 0; 1 in the middle, a half at distance r. */
static inline double halo(double dx, double dy, double r)
{
	return 1 / (1 + (dx * dx + dy * dy) / (r * r));
}

#endif
