/* scene_flow.c - noise as matter: marbled ink, leaded glass, cut paper.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/scene.h"

/* ---- marble ---- q: scale, warp, bands, tilt */

static void marble_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, 1.1, 2.2);
	p->q[1] = rng_range(rng, 1.4, 2.8);
	p->q[2] = 5 + (double)rng_below(rng, 6);
	p->q[3] = rng_range(rng, -0.6, 0.6);
}

static struct rgb marble_shade(const struct picture *p, double x, double y, double phase)
{
	double u = x * p->q[0] + 9, v = y * p->q[0] + 4, drift = 0.12;
	double wx =
	    fbm2(p->seed, u + drift * cos_turn(phase), v + drift * sin_turn(phase), 4) - 0.5;
	double wy = fbm2(p->seed + 20, u - drift * sin_turn(phase), v + 3, 4) - 0.5;
	double f = fbm2(p->seed + 40, u + p->q[1] * wx, v + p->q[1] * wy, 5);
	double level = clamp01((f - 0.5) * 1.75 + 0.5 + 0.25 * (x * p->q[3] + y * 0.3));
	double bands = level * p->q[2], edge = fabs(bands - floor(bands) - 0.5);
	if (level <= 0 || level >= 1)
		edge = 0; /* beyond the last band there is no border */
	struct rgb at = palette_ramp(&p->pal, level);
	at = rgb_mix(at, palette_ramp(&p->pal, floor(bands) / p->q[2]), 0.45);
	at = rgb_mix(at, p->pal.ink, 0.60 * smooth(0.30, 0.02, level));
	at = rgb_mix(at, p->pal.paper, 0.45 * smooth(0.72, 0.98, level));
	at = rgb_mix(at, p->pal.dark ? p->pal.paper : p->pal.ink, 0.22 * smooth(0.455, 0.5, edge));
	return rgb_scale(at, 1 + 0.9 * (wx - wy) * 0.5);
}

const struct scene scene_marble = {"marble", marble_setup, marble_shade};

/* ---- glass ---- q: cells along the shorter side, light x, y */

static void glass_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, 4.5, 8.5);
	p->q[1] = rng_range(rng, -0.3, 0.3);
	p->q[2] = rng_range(rng, -0.3, 0.1);
}

static struct rgb glass_shade(const struct picture *p, double x, double y, double phase)
{
	struct cell cell;
	double dx = x - p->q[1], dy = y - p->q[2], d = length2(dx, dy);
	cell_at(p->seed, x * p->q[0] + 30, y * p->q[0] + 30, phase, &cell);
	double tint = (double)(cell.id >> 8 & 1023) / 1023, own = (double)(cell.id & 255) / 255;
	double at_ramp = clamp01(0.15 + 0.7 * (0.55 * tint + 0.45 * smooth(0.75, 0, d)));
	struct rgb at = palette_ramp(&p->pal, at_ramp);
	at = rgb_mix(at, own < 0.12 ? p->pal.paper : at, 0.6);
	/* Lit from one side, wavy like blown glass. */
	double wave = fbm2(p->seed + 60 + (cell.id & 7), x * 9 + own * 20, y * 9, 3) - 0.5;
	at = rgb_scale(at, 0.80 + 0.30 * own - 0.35 * (cell.dx + cell.dy) + 0.5 * wave);
	at = rgb_glow(at, rgb_mix(p->pal.c[3], p->pal.paper, 0.5), 0.45 * halo(dx, dy, 0.22));
	at = rgb_scale(at, 0.55 + 0.45 * smooth(0.0, 0.2, cell.edge));
	double lead = cell.edge / p->q[0] - 0.0042;
	return rgb_mix(at, rgb_scale(p->pal.ink, 0.7), inside(p, lead));
}

const struct scene scene_glass = {"glass", glass_setup, glass_shade};

/* ---- paper ---- sheets with holes, one above the other. q: scale, layers, centre x, y */

static void paper_setup(struct picture *p, struct rng *rng)
{
	p->q[0] = rng_range(rng, 1.3, 2.3);
	p->q[1] = 6 + (double)rng_below(rng, 3);
	p->q[2] = rng_range(rng, -0.25, 0.25) * p->ax;
	p->q[3] = rng_range(rng, -0.18, 0.18);
	p->q[4] = rng_below(rng, 2) ? 1 : -1;
}

/* Negative inside the hole of layer i; about a distance. */
static double hole(const struct picture *p, int i, double x, double y, double phase)
{
	double k = i / p->q[1], dx = (x - p->q[2]) / (0.6 + 0.4 * p->ax), dy = y - p->q[3];
	double sway = 0.10 * k;
	double f =
	    fbm2(p->seed + (uint32_t)(i / 2) * 3, x * p->q[0] + sway * cos_turn(phase) + i * 0.13,
		 y * p->q[0] + sway * sin_turn(phase) + i * 0.21, 3);
	return (length2(dx, dy) - 0.10 - 0.52 * k + (f - 0.5) * 0.85) * 0.8;
}

static struct rgb paper_shade(const struct picture *p, double x, double y, double phase)
{
	int layers = (int)p->q[1];
	/* The deepest sheet first; every sheet above casts its shadow on what shows through its
	 * hole. */
	struct rgb at = p->q[4] > 0 ? rgb_mix(p->pal.c[3], p->pal.paper, 0.6)
				    : rgb_mix(p->pal.ink, p->pal.c[0], 0.4);
	for (int i = 0; i < layers; i++) {
		double d = hole(p, i, x, y, phase), k = (i + 0.5) / layers;
		/* Where the shadow can't be seen there is no need to know it. */
		bool shade = d > -0.12 && d < p->px;
		double cast = shade ? hole(p, i, x - 0.010, y - 0.018, phase) : -1;
		struct rgb sheet = palette_ramp(&p->pal, p->q[4] > 0 ? 1 - k : k);
		sheet = p->q[4] > 0 ? rgb_mix(sheet, p->pal.ink, 0.55 * k * k)
				    : rgb_mix(sheet, p->pal.paper, 0.5 * k * k);
		paint(&at, p->pal.ink, 0.55 * smooth(-0.040, 0.012, cast) * (1 - inside(p, -d)));
		sheet = rgb_mix(sheet, p->pal.paper, 0.30 * smooth(0.008, 0.0, d));
		paint(&at, sheet, inside(p, -d));
	}
	return at;
}

const struct scene scene_paper = {"paper", paper_setup, paper_shade};
