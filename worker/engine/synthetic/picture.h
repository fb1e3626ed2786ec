/* picture.h - a picture made from 32 bytes: a palette, a composition and its parameters.
 * Drawn row by row at any size, and at any moment of its loop when it moves. The same bytes give
 * the same pixels. SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_PICTURE_H
#define SYNTHETIC_PICTURE_H

#include <stddef.h>

#include "worker/engine/synthetic/color.h"

#define PICTURE_SHAPES 48

struct shape {
	double x, y, r, a, b; /* what they mean is the scene's */
	int color;
};

struct picture {
	const struct scene *scene;
	struct palette pal;
	uint32_t seed; /* of the noise */
	double q[8];   /* the scene's numbers */
	struct shape shapes[PICTURE_SHAPES];
	size_t n;
	struct curve curve;
	double grain;
	/* of the size asked: */
	int w, h;
	double px;     /* a pixel; the shorter side is 1 */
	double ax, ay; /* half of the width and of the height */
};

/* w, h: pixels, at least 1. */
void picture_init(struct picture *p, const unsigned char key[32], int w, int h);
/* 3 * w bytes of sRGB. phase: 0..1 through the loop; 0 for a still. Safe from several threads. */
void picture_row(const struct picture *p, int y, double phase, uint8_t *rgb);
const char *picture_scene_name(const struct picture *p);

#endif
