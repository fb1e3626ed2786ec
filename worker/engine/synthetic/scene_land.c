/* scene_land.c - landscapes: hills under a sun, a city over water, ridges of light.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/scene.h"

/* ---- hills ---- q: sun x, sun y, sun r, layers, horizon, roughness */

static void hills_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, -0.6, 0.6) * p->ax;
	p->q[1] = rng_range(rng, -0.26, -0.06);
	p->q[2] = rng_range(rng, 0.07, 0.16);
	p->q[3] = 5 + (double)rng_below(rng, 3);
	p->q[4] = rng_range(rng, -0.08, 0.06);
	p->q[5] = rng_range(rng, 1.0, 2.0);
}

static struct rgb sky(const struct picture *p, double x, double y, double sun_x, double sun_y)
{
	const struct palette *c = &p->pal;
	struct rgb top = p->pal.dark ? c->ground : rgb_mix(c->c[1], c->paper, 0.45);
	struct rgb low = rgb_mix(c->c[4], c->paper, p->pal.dark ? 0.25 : 0.6);
	struct rgb at = rgb_mix(top, low, smooth(-p->ay, p->q[4] + 0.12, y));
	double dx = x - sun_x, dy = y - sun_y, d = length2(dx, dy);
	at = rgb_glow(at, rgb_mix(c->c[3], c->paper, 0.4), 0.5 * halo(dx, dy, p->q[2] * 1.5));
	paint(&at, rgb_mix(c->paper, c->c[3], 0.25), inside(p, d - p->q[2]));
	return at;
}

static double stars(const struct picture *p, double x, double y, double phase)
{
	struct cell cell;
	cell_at(p->seed + 90, x * 22, y * 22, -1, &cell);
	double size = (double)(cell.id & 255) / 255;
	double blink = 0.75 + 0.25 * sin_turn(phase * (1 + cell.id % 3) + size * 7);
	return size < 0.45 ? 0 : blink * size * smooth(0.030 + 0.03 * size, 0.0, cell.d1);
}

static struct rgb hills_shade(const struct picture *p, double x, double y, double phase)
{
	double sun_y = p->q[1] + 0.02 * sin_turn(phase);
	struct rgb at = sky(p, x, y, p->q[0], sun_y);
	if (p->pal.dark)
		at = rgb_glow(at, p->pal.paper,
			      0.7 * stars(p, x, y, phase) * smooth(p->q[4] - 0.05, -0.4, y));
	struct rgb far = rgb_mix(p->pal.c[4], p->pal.paper, 0.35);
	struct rgb near = rgb_mix(p->pal.c[0], p->pal.ink, 0.72);
	int layers = (int)p->q[3];
	for (int i = 0; i < layers; i++) {
		double k = (i + 1) / (double)layers, base = lerp(p->q[4], 0.42, k * k);
		double amp = lerp(0.10, 0.26, k);
		if (y < base - amp * 0.58 - p->px)
			continue; /* above the highest this ridge can be */
		double at_x =
		    x * lerp(2.6, 1.3, k) * p->q[5] + i * 31.7 + k * 0.35 * sin_turn(phase);
		double ridge = base - amp * (fbm1(p->seed + (uint32_t)i * 7, at_x, 6) - 0.42);
		struct rgb body = rgb_mix(far, near, k);
		body = rgb_mix(body, far, 0.45 * (1 - k) * smooth(0, 0.22, y - ridge));
		paint(&at, body, inside(p, ridge - y));
	}
	return at;
}

const struct scene scene_hills = {"hills", hills_setup, hills_shade};

/* ---- skyline ---- q: moon x, moon y, moon r, waterline */

static void skyline_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, -0.6, 0.6) * p->ax;
	p->q[1] = rng_range(rng, -0.34, -0.16);
	p->q[2] = rng_range(rng, 0.06, 0.12);
	p->q[3] = rng_range(rng, 0.16, 0.28);
	p->q[4] = p->q[3] - 0.05;
	p->pal.dark = true;
}

/* One row of houses; front rows have windows. */
static void houses(const struct picture *p, struct rgb *at, double x, double y, int row,
		   double phase)
{
	uint32_t seed = p->seed + (uint32_t)row * 101;
	double wide = 0.055 + 0.02 * row, u = x / wide + 40 + row * 0.37, f = u - floor(u);
	int64_t n = (int64_t)floor(u);
	double tall = 0.05 + (0.42 - 0.09 * row) * hash2(seed, n, 1) * hash2(seed, n, 2) +
		      0.05 * noise1(seed, u * 0.2);
	double roof = p->q[3] - tall, gap = 0.06 + 0.1 * hash2(seed, n, 3);
	double d = fmax(roof - y, (fabs(f - 0.5) - 0.5 + gap * 0.5) * wide);
	double mast = fmax(fabs(f - 0.5) * wide - 0.0016, roof - 0.05 * hash2(seed, n, 4) - y);
	struct rgb back = rgb_mix(p->pal.c[4], p->pal.c[0], 0.3);
	struct rgb wall = rgb_mix(back, p->pal.ink, 0.30 + 0.27 * row);
	paint(at, rgb_mix(wall, back, 0.35 * smooth(roof, p->q[3] + 0.1, y)),
	      inside(p, fmin(d, hash2(seed, n, 5) < 0.35 ? mast : 1)));
	if (row == 0 || d > -0.004)
		return;
	double gx = (x + 7) / 0.0125, gy = (y + 7) / 0.0165, wx = gx - floor(gx) - 0.5,
	       wy = gy - floor(gy) - 0.5;
	double lit = hash2(seed + 9, (int64_t)floor(gx), (int64_t)floor(gy));
	double flicker = lit > 0.9 ? 0.5 + 0.5 * sin_turn(phase + lit * 40) : 1;
	double box = fmax((fabs(wx) - 0.26) * 0.0125, (fabs(wy) - 0.30) * 0.0165);
	if (lit > 0.60)
		paint(at, rgb_mix(p->pal.c[3], p->pal.paper, (lit - 0.6) * 1.6),
		      0.9 * flicker * inside(p, box));
}

static struct rgb city(const struct picture *p, double x, double y, double phase)
{
	struct rgb at = sky(p, x, y, p->q[0] + 0.03 * sin_turn(phase), p->q[1]);
	at = rgb_glow(at, p->pal.paper,
		      0.7 * stars(p, x, y, phase) * smooth(p->q[3] - 0.2, -0.4, y));
	for (int row = 0; row < 3; row++)
		houses(p, &at, x, y, row, phase);
	return at;
}

static struct rgb skyline_shade(const struct picture *p, double x, double y, double phase)
{
	if (y < p->q[3])
		return city(p, x, y, phase);
	double depth = y - p->q[3],
	       rip = fbm2(p->seed + 55, x * 5, depth * 60 + 2 * sin_turn(phase), 3) - 0.5;
	struct rgb at = city(p, x + rip * (0.02 + 0.10 * depth),
			     p->q[3] - depth * 1.25 - fabs(rip) * 0.04, phase);
	at = rgb_mix(at, rgb_mix(p->pal.ground, p->pal.ink, 0.4), 0.35 + 0.9 * depth);
	return rgb_glow(at, p->pal.c[3], 0.10 * smooth(0.12, 0.3, rip));
}

const struct scene scene_skyline = {"skyline", skyline_setup, skyline_shade};

/* ---- ridges ---- lines of light, the front ones hide the back ones. q: lines, width of the swell,
 * its place */

static void ridges_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = 24 + (double)rng_below(rng, 14);
	p->q[1] = rng_range(rng, 0.16, 0.30);
	p->q[2] = rng_range(rng, -0.12, 0.12);
	p->q[3] = rng_range(rng, 5, 11);
}

/* How much of the swell there is at x, 0..1. */
static double swell(const struct picture *p, int i, double x)
{
	double u = (x - p->q[2] - 0.08 * (hash2(p->seed, i, 5) - 0.5)) / (p->q[1] * p->ax * 2);
	return 1 / (1 + u * u * u * u * 6);
}

static double ridge_top(const struct picture *p, int i, double base, double x, double phase)
{
	double sway = 0.4 * sin_turn(phase + i * 0.07);
	double lift = fbm1(p->seed + (uint32_t)i, x * p->q[3] + i * 3.1 + sway, 4);
	return base - 0.30 * lift * lift * swell(p, i, x) + 0.012 * lift;
}

static struct rgb ridges_shade(const struct picture *p, double x, double y, double phase)
{
	const struct palette *c = &p->pal;
	struct rgb ground = c->dark ? c->ground : rgb_mix(c->c[0], c->ink, 0.55), at = ground;
	at = rgb_mix(at, c->dark ? c->c[0] : c->c[4], 0.40 * smooth(-0.3, p->ay, y));
	int lines = (int)p->q[0];
	double step = 0.80 / lines;
	for (int i = 0; i < lines; i++) {
		double base = -0.34 + i * step, k = i / (double)lines;
		if (y > base + step || y < base - 0.34)
			continue;
		if (y < base - 0.30 * swell(p, i, x) - 0.05)
			continue; /* too high even for its light */
		double top = ridge_top(p, i, base, x, phase);
		double away = y - top;
		if (fabs(away) < 0.08) { /* farther off the slope makes no difference */
			double slope = (ridge_top(p, i, base, x + 0.001, phase) - top) / 0.001;
			away /= sqrt(1 + slope * slope);
		}
		struct rgb line = rgb_mix(palette_ramp(c, k), c->paper, 0.15);
		double below = inside(p, -away) * inside(p, y - base - step);
		paint(&at, rgb_mix(ground, c->c[0], 0.35 * k), below);
		paint(&at, line, inside(p, fabs(away) - 0.0014 - 0.25 * p->px));
		at = rgb_glow(at, line, 0.10 * halo(0, away, 0.006));
	}
	return at;
}

const struct scene scene_ridges = {"ridges", ridges_setup, ridges_shade};
