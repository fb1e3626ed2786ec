/* color.c - see color.h. OKLab after Björn Ottosson.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/color.h"

#include "lib/base/mem.h"

static struct rgb from_oklab(double l, double a, double b)
{
	double x = l + 0.3963377774 * a + 0.2158037573 * b;
	double y = l - 0.1055613458 * a - 0.0638541728 * b;
	double z = l - 0.0894841775 * a - 1.2914855480 * b;
	x = x * x * x;
	y = y * y * y;
	z = z * z * z;
	return (struct rgb){4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z,
			    -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z,
			    -0.0041960863 * x - 0.7034186147 * y + 1.7076147010 * z};
}

static bool shown(struct rgb c)
{
	return c.r >= 0 && c.g >= 0 && c.b >= 0 && c.r <= 1 && c.g <= 1 && c.b <= 1;
}

struct rgb rgb_oklch(double l, double c, double hue)
{
	struct rgb out = {0, 0, 0};
	for (int i = 0; i < 24; i++, c *= 0.9) {
		out = from_oklab(l, c * cos_turn(hue), c * sin_turn(hue));
		if (shown(out))
			return out;
	}
	return (struct rgb){clamp01(out.r), clamp01(out.g), clamp01(out.b)};
}

static double unit(struct rng *rng)
{
	return (double)(rng_u64(rng) >> 11) / 9007199254740992.0;
}

/* Hues of the accents beside the first one, in turns. */
static const double schemes[][PALETTE_LEN] = {
    {0, 0.05, 0.11, -0.06, 0.48}, /* neighbours and one from across */
    {0, 0.04, 0.50, 0.54, -0.04}, /* two families */
    {0, 0.33, 0.36, 0.67, 0.03},  /* triad */
    {0, 0.06, 0.42, 0.58, 0.12},  /* split complement */
    {0, 0.08, 0.16, 0.24, 0.32},  /* a quarter of the rainbow */
    {0, -0.03, 0.02, 0.25, 0.28}, /* one family and its square */
};

void palette_init(struct palette *p, struct rng *rng)
{
	const double *offset = schemes[rng_below(rng, ARRAY_LEN(schemes))];
	double hue = unit(rng), chroma = 0.11 + 0.08 * unit(rng), lift = 0.06 * unit(rng);
	p->dark = rng_below(rng, 5) < 3;
	p->ground = p->dark ? rgb_oklch(0.17 + lift, 0.055, hue + 0.03)
			    : rgb_oklch(0.93 + lift * 0.5, 0.03, hue + 0.08);
	p->ink = rgb_oklch(0.15, 0.05, hue);
	p->paper = rgb_oklch(0.965, 0.025, hue + 0.1);
	/* Light and shade alternate, so that neighbours in the palette always differ in lightness.
	 */
	static const double lightness[PALETTE_LEN] = {0.42, 0.58, 0.72, 0.83, 0.66};
	for (int i = 0; i < PALETTE_LEN; i++)
		p->c[i] =
		    rgb_oklch(lightness[i] + lift, chroma * (i == 4 ? 1.3 : 1.0), hue + offset[i]);
}

struct rgb palette_ramp(const struct palette *p, double t)
{
	double at = clamp01(t) * (PALETTE_LEN - 1);
	int i = at >= PALETTE_LEN - 1 ? PALETTE_LEN - 2 : (int)at;
	double f = at - i;
	return rgb_mix(p->c[i], p->c[i + 1], f * f * (3 - 2 * f));
}

/* Newton's method; v in (0, 1]. */
static double cube_root(double v)
{
	double x = 0.5 + 0.5 * v;
	for (int i = 0; i < 24; i++)
		x = (2 * x + v / (x * x)) / 3;
	return x;
}

static double srgb_curve(double v)
{
	if (v <= 0.0031308)
		return 12.92 * v;
	/* v^(5/12) = cbrt(v^(5/4)) */
	return 1.055 * cube_root(v * sqrt(sqrt(v))) - 0.055;
}

void curve_init(struct curve *c)
{
	for (int i = 0; i <= CURVE_LEN; i++)
		c->v[i] = (uint16_t)(srgb_curve(i / (double)CURVE_LEN) * 255 * 256 + 0.5);
}
