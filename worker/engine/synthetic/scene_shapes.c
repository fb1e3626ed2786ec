/* scene_shapes.c - plain geometry: overlapping discs, a wall of tiles, rays behind a disc.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/scene.h"

/* ---- discs ---- shape a: ring width (0: full), b: phase */

static void discs_setup(struct picture *p, struct rng *rng)
{
	p->n = 11 + rng_below(rng, 8);
	double tilt = rng_unit(rng);
	for (size_t i = 0; i < p->n; i++) {
		struct shape *s = &p->shapes[i];
		double k = (double)i / (double)p->n, along = rng_range(rng, -1, 1),
		       off = rng_range(rng, -0.32, 0.32);
		s->x = (along * cos_turn(tilt) * 0.5 + off * sin_turn(tilt)) * p->ax * 1.7;
		s->y = (along * sin_turn(tilt) * 0.5 - off * cos_turn(tilt)) * p->ay * 1.7;
		s->r = lerp(0.34, 0.03, k * (1.6 - 0.6 * k)) * rng_range(rng, 0.7, 1.15);
		s->a = rng_below(rng, 4) == 0 ? s->r * rng_range(rng, 0.1, 0.3) : 0;
		s->b = rng_unit(rng);
		s->color = (int)rng_below(rng, PALETTE_LEN);
	}
	p->q[0] = rng_unit(rng);
}

static void disc(const struct picture *p, const struct shape *s, struct rgb *at, double x, double y,
		 double phase)
{
	double reach = s->r + s->a + 0.08;
	if (fabs(x - s->x) > reach || fabs(y - s->y) > reach)
		return;
	double dx = x - s->x - 0.03 * cos_turn(phase + s->b),
	       dy = y - s->y - 0.03 * sin_turn(phase + s->b);
	double d = length2(dx, dy), edge = s->a > 0 ? fabs(d - s->r) - s->a * 0.5 : d - s->r;
	double lit = 0.5 + 0.5 * (dx * cos_turn(p->q[0]) + dy * sin_turn(p->q[0])) / s->r;
	struct rgb body = p->pal.c[s->color], next = p->pal.c[(s->color + 1) % PALETTE_LEN];
	/* A soft shadow under each disc lifts it from what lies below. */
	paint(at, p->pal.ink, 0.22 * smooth(0.035, -0.01, edge - 0.004) * (1 - inside(p, edge)));
	paint(at, rgb_mix(body, next, clamp01(lit)), 0.86 * inside(p, edge));
}

static struct rgb discs_shade(const struct picture *p, double x, double y, double phase)
{
	double sweep = 0.5 + 0.5 * (x / p->ax * cos_turn(p->q[0]) + y / p->ay * sin_turn(p->q[0]));
	struct rgb at =
	    rgb_mix(p->pal.ground, p->pal.dark ? p->pal.c[0] : p->pal.c[3], 0.40 * clamp01(sweep));
	for (size_t i = 0; i < p->n; i++)
		disc(p, &p->shapes[i], &at, x, y, phase);
	return at;
}

const struct scene scene_discs = {"discs", discs_setup, discs_shade};

/* ---- tiles ---- q: tiles along the shorter side */

static void tiles_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = 4 + (double)rng_below(rng, 4);
	p->q[1] = rng_range(rng, 0.28, 0.5);
}

/* Distance to the figure of one tile; u, v in -0.5..0.5, turned by quarters. */
static double figure(int what, double u, double v, double pulse)
{
	switch (what) {
	case 0: /* quarter disc */
		return length2(u + 0.5, v + 0.5) - 0.96 * pulse;
	case 1: /* half disc */
		return fmax(length2(u, v + 0.5) - 0.5 * pulse, -0.5 - v);
	case 2: /* triangle */
		return (u + v) * 0.7071 - 0.02 * (1 - pulse);
	case 3: /* disc */
		return length2(u, v) - 0.38 * pulse;
	case 4: /* two arcs: the paths run on from tile to tile */
		return fmin(fabs(length2(u + 0.5, v + 0.5) - 0.5),
			    fabs(length2(u - 0.5, v - 0.5) - 0.5)) -
		       0.13 * pulse;
	case 5: /* leaf */
		return fmax(length2(u + 0.5, v - 0.5), length2(u - 0.5, v + 0.5)) - 0.98 * pulse;
	default: /* ring */
		return fabs(length2(u, v) - 0.30) - 0.11 * pulse;
	}
}

static struct rgb tiles_shade(const struct picture *p, double x, double y, double phase)
{
	double n = p->q[0], gx = (x + p->ax) * n, gy = (y + p->ay) * n;
	int64_t i = (int64_t)floor(gx), j = (int64_t)floor(gy);
	double u = gx - (double)i - 0.5, v = gy - (double)j - 0.5, swap = u;
	int quarter = (int)(hash2(p->seed, i, j) * 4), what = (int)(hash2(p->seed + 1, i, j) * 7);
	for (int k = 0; k < quarter; k++, swap = u)
		u = -v, v = swap;
	int ground = (int)(hash2(p->seed + 2, i, j) * (PALETTE_LEN + 1));
	int front =
	    (ground + 1 + (int)(hash2(p->seed + 3, i, j) * (PALETTE_LEN - 1))) % PALETTE_LEN;
	struct rgb at = ground == PALETTE_LEN ? p->pal.ground : p->pal.c[ground];
	double pulse = 1 - 0.10 * (0.5 - 0.5 * cos_turn(phase)) * (1 + hash2(p->seed + 4, i, j));
	double d = figure(what, u, v, pulse) / n;
	paint(&at, p->pal.ink, 0.25 * smooth(0.02, 0, d - 0.002));
	paint(&at, ground == front ? p->pal.paper : p->pal.c[front], inside(p, d));
	if (what == 0 || what == 3)
		paint(&at, hash2(p->seed + 5, i, j) < 0.5 ? p->pal.paper : p->pal.ink,
		      inside(p, figure(what, u, v, pulse * 0.42) / n));
	return rgb_scale(at, 0.97 + 0.06 * fbm2(p->seed + 6, gx * 3, gy * 3, 3));
}

const struct scene scene_tiles = {"tiles", tiles_setup, tiles_shade};

/* ---- rays ---- q: centre x, y, rays, twist, disc r, horizon */

static void rays_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, -0.35, 0.35) * p->ax;
	p->q[1] = rng_range(rng, -0.10, 0.14);
	p->q[2] = 9 + (double)rng_below(rng, 10);
	p->q[3] = rng_range(rng, -0.5, 0.5);
	p->q[4] = rng_range(rng, 0.15, 0.23);
	p->q[5] = p->q[1] + rng_range(rng, 0.07, 0.12);
}

static void sea(const struct picture *p, struct rgb *at, double x, double y, double phase)
{
	for (int i = 0; i < 7; i++) {
		double k = i / 6.0, base = p->q[5] + (0.55 - p->q[5]) * k * k * 0.9,
		       long_wave = lerp(7, 2.2, k);
		double crest =
		    base + lerp(0.008, 0.03, k) * sin_turn(x * long_wave + hash2(p->seed, i, 1) +
							   (i % 2 ? phase : -phase));
		double d = crest - y;
		paint(at, p->pal.ink, 0.30 * smooth(0.03, 0, d));
		paint(at, rgb_mix(p->pal.c[1], p->pal.c[0], k), inside(p, d));
		paint(at, rgb_mix(p->pal.c[2], p->pal.paper, 0.3),
		      0.8 * inside(p, fabs(d + 0.006) - 0.0016));
	}
}

static struct rgb rays_shade(const struct picture *p, double x, double y, double phase)
{
	double dx = x - p->q[0], dy = y - p->q[1], d = length2(dx, dy);
	double turn = atan2_turn(dy, dx) + p->q[3] * d * 0.5 + phase / p->q[2], u = turn * p->q[2];
	double wave = fabs(u - floor(u) - 0.5) - 0.25;
	/* The angle's unit shrinks towards the middle: scale it to keep the edges one pixel wide.
	 */
	double ray = inside(p, wave / p->q[2] * 6.2832 * fmax(d, 1e-6));
	struct rgb light = rgb_mix(p->pal.c[3], p->pal.paper, 0.45),
		   deep = rgb_mix(p->pal.c[4], p->pal.c[2], 0.35);
	struct rgb at = rgb_mix(light, deep, ray);
	at = rgb_mix(at, p->pal.c[4], 0.75 * smooth(0.2, 0.85, d));
	at = rgb_glow(at, p->pal.paper, 0.30 * halo(dx, dy, p->q[4] * 0.9));
	paint(&at, p->pal.paper, inside(p, d - p->q[4] * 1.07));
	struct rgb face = rgb_mix(p->pal.c[3], p->pal.c[4], smooth(-p->q[4], p->q[4], dy));
	double slit = fabs((dy / p->q[4] + 1) * 6 - floor((dy / p->q[4] + 1) * 6) - 0.5) - 0.5 +
		      0.24 * smooth(0, p->q[4], dy);
	paint(&at, face, inside(p, fmax(d - p->q[4], slit * p->q[4] / 6)));
	sea(p, &at, x, y, phase);
	return at;
}

const struct scene scene_rays = {"rays", rays_setup, rays_shade};
