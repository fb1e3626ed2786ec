/* scene_orbits.c - planets on rings around a star.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/scene.h"

/* q: star x, y, r, flattening, tilt. shape r: size, a: orbit, b: place on it, x: 1 when ringed */

static void orbits_setup(struct picture *p, struct rng *rng)
{
	double orbit = rng_range(rng, 0.15, 0.2);
	p->q[0] = rng_range(rng, -0.35, 0.35) * p->ax;
	p->q[1] = rng_range(rng, -0.12, 0.12);
	p->q[2] = rng_range(rng, 0.055, 0.09);
	p->q[3] = rng_range(rng, 0.42, 0.95);
	p->q[4] = rng_range(rng, -0.09, 0.09);
	p->n = 5 + rng_below(rng, 3);
	for (size_t i = 0; i < p->n; i++) {
		struct shape *s = &p->shapes[i];
		s->a = orbit;
		s->b = rng_unit(rng);
		s->r = rng_range(rng, 0.016, 0.055) * (0.7 + 0.15 * (double)i);
		s->x = rng_below(rng, 3) == 0;
		s->color = (int)rng_below(rng, PALETTE_LEN);
		orbit += rng_range(rng, 0.08, 0.15);
	}
	p->pal.dark = true;
	p->pal.ground = rgb_mix(p->pal.ink, p->pal.c[0], 0.22);
}

static struct rgb space(const struct picture *p, double x, double y, double phase)
{
	double cloud = fbm2(p->seed, x * 2.2 + 5, y * 2.2, 5),
	       other = fbm2(p->seed + 9, x * 1.6, y * 1.6 + 3, 4);
	struct rgb at = rgb_mix(p->pal.ground, p->pal.ink, 0.35);
	at = rgb_glow(at, p->pal.c[0], 0.9 * smooth(0.40, 0.85, cloud));
	at = rgb_glow(at, p->pal.c[4], 0.45 * smooth(0.50, 0.9, other) * cloud);
	for (int k = 0; k < 2; k++) {
		struct cell cell;
		cell_at(p->seed + 40 + (uint32_t)k, x * (14 + 22 * k), y * (14 + 22 * k), -1,
			&cell);
		double size = (double)(cell.id & 255) / 255,
		       blink = 0.7 + 0.3 * sin_turn(phase + size * 9);
		at = rgb_glow(at, p->pal.paper,
			      size * blink * smooth(0.05 * size + 0.012, 0, cell.d1));
	}
	return at;
}

static void planet(const struct picture *p, const struct shape *s, struct rgb *at, double px,
		   double py, double x, double y)
{
	double d = length2(x, y), sun = length2(px, py) + 1e-9;
	if (d > s->r * 2.5)
		return;
	double nx = x / s->r, ny = y / s->r, nz = sqrt(fmax(0, 1 - nx * nx - ny * ny));
	double lit = clamp01(-(nx * px + ny * py) / sun * 0.85 + nz * 0.45);
	double band =
	    fbm2(p->seed + (uint32_t)s->color, ny * 2.6 + nx * 0.6 + s->b * 9, nx * 0.9, 4);
	struct rgb body = rgb_mix(p->pal.c[s->color], p->pal.c[(s->color + 2) % PALETTE_LEN],
				  smooth(0.35, 0.65, band));
	body =
	    rgb_mix(rgb_mix(body, p->pal.ink, 0.88), rgb_mix(body, p->pal.paper, 0.18 * lit), lit);
	*at = rgb_glow(*at, p->pal.c[s->color], 0.16 * smooth(s->r * 1.5, s->r, d));
	double ring = fabs(length2(x + y * 0.5, (y - x * 0.3) * 3.2) - s->r * 1.75) - s->r * 0.24;
	double back = inside(p, ring) * s->x * 0.85;
	struct rgb ice = rgb_mix(p->pal.c[3], p->pal.paper, 0.4);
	if (y - x * 0.3 < 0)
		paint(at, ice, back);
	paint(at, body, inside(p, d - s->r));
	if (y - x * 0.3 >= 0)
		paint(at, ice, back);
}

static struct rgb orbits_shade(const struct picture *p, double x, double y, double phase)
{
	struct rgb at = space(p, x, y, phase);
	double dx = x - p->q[0], dy = y - p->q[1], c = cos_turn(p->q[4]), s = sin_turn(p->q[4]);
	double u = dx * c + dy * s, v = dy * c - dx * s, around = length2(u, v / p->q[3]);
	struct rgb star = rgb_mix(p->pal.c[3], p->pal.paper, 0.55);
	at = rgb_glow(at, p->pal.c[3], 0.55 * halo(dx, dy, p->q[2] * 1.25));
	for (size_t i = 0; i < p->n; i++)
		paint(&at, rgb_mix(p->pal.c[2], p->pal.paper, 0.3),
		      0.5 * inside(p, fabs(around - p->shapes[i].a) - 0.0009 - 0.2 * p->px));
	paint(&at, star, inside(p, length2(dx, dy) - p->q[2]));
	for (size_t i = 0; i < p->n; i++) {
		const struct shape *w = &p->shapes[i];
		double turn = w->b + phase * (i < 2 ? 2 : 1), ou = w->a * cos_turn(turn),
		       ov = w->a * sin_turn(turn) * p->q[3];
		double ox = ou * c - ov * s, oy = ov * c + ou * s;
		planet(p, w, &at, ox, oy, dx - ox, dy - oy);
	}
	return at;
}

const struct scene scene_orbits = {"orbits", orbits_setup, orbits_shade};
