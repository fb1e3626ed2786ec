/* picture.c - see picture.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/picture.h"

#include "lib/base/mem.h"
#include "worker/engine/synthetic/scene.h"

static const struct scene *const scenes[] = {
    &scene_hills, &scene_paper,	  &scene_orbits, &scene_tiles,	&scene_marble,
    &scene_discs, &scene_skyline, &scene_glass,	 &scene_ridges, &scene_rays,
};

static uint64_t word(const unsigned char *at)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | at[i];
	return v;
}

void picture_init(struct picture *p, const unsigned char key[32], int w, int h)
{
	struct rng rng;
	int side = w < h ? w : h;
	*p = (struct picture){.w = w, .h = h, .px = 1.0 / side};
	p->ax = 0.5 * w / side;
	p->ay = 0.5 * h / side;
	rng_init_seeded(&rng, word(key) ^ word(key + 8));
	palette_init(&p->pal, &rng);
	p->scene = scenes[word(key + 16) % ARRAY_LEN(scenes)];
	p->seed = (uint32_t)word(key + 24);
	p->grain = 2.2;
	curve_init(&p->curve);
	rng_init_seeded(&rng, word(key + 8) ^ word(key + 24));
	p->scene->setup(p, &rng);
}

const char *picture_scene_name(const struct picture *p)
{
	return p->scene->name;
}

/* Darker towards the corners, as a lens does. */
static double vignette(const struct picture *p, double x, double y)
{
	double u = x / p->ax, v = y / p->ay, d = u * u + v * v;
	return 1 - 0.10 * d * d * 0.5;
}

void picture_row(const struct picture *p, int row, double phase, uint8_t *rgb)
{
	double y = (row + 0.5) * p->px - p->ay;
	for (int col = 0; col < p->w; col++, rgb += 3) {
		double x = (col + 0.5) * p->px - p->ax;
		struct rgb c = rgb_scale(p->scene->shade(p, x, y, phase), vignette(p, x, y));
		double g = (hash2(p->seed, col, row) + hash2(p->seed + 1, col, row) - 1) * p->grain;
		rgb[0] = curve_byte(&p->curve, c.r, g);
		rgb[1] = curve_byte(&p->curve, c.g, g);
		rgb[2] = curve_byte(&p->curve, c.b, g);
	}
}
