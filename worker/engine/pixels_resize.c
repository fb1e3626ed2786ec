/* pixels_resize.c - a picture at another size: each axis on its own, the one first that leaves less
 * in between. SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/pixels.h"

/* What one pixel of the result is made of, along one axis. */
struct span {
	int first, n;
	float *weights; /* n, adding up to 1 */
};
struct axis {
	struct span *spans;
	float *weights;
};

/* Shrinking: every pixel of the source counts by how much of it the result's pixel covers. */
static void area_span(struct span *s, int i, double scale, int from)
{
	double a = i * scale, b = (i + 1) * scale;
	s->first = (int)floor(a);
	int end = (int)ceil(b - 1e-9);
	end = end > from ? from : end;
	s->n = end > s->first ? end - s->first : 1;
	for (int k = 0; k < s->n; k++) {
		double lo = fmax(a, s->first + k), hi = fmin(b, s->first + k + 1);
		s->weights[k] = (float)((hi - lo) / scale);
	}
}

/* Growing: between the two nearest centres. */
static void linear_span(struct span *s, int i, double scale, int from)
{
	double center = (i + 0.5) * scale - 0.5;
	center = fmin(fmax(center, 0), from - 1);
	s->first = (int)floor(center);
	s->n = s->first + 1 < from ? 2 : 1;
	s->weights[0] = s->n == 2 ? (float)(1 - (center - s->first)) : 1;
	if (s->n == 2)
		s->weights[1] = 1 - s->weights[0];
}

static void axis_init(struct axis *a, int from, int to)
{
	double scale = (double)from / to;
	size_t most = scale > 1 ? (size_t)ceil(scale) + 2 : 2;
	a->spans = xcalloc((size_t)to, sizeof *a->spans);
	a->weights = xcalloc((size_t)to * most, sizeof *a->weights);
	for (int i = 0; i < to; i++) {
		a->spans[i].weights = a->weights + (size_t)i * most;
		(scale > 1 ? area_span : linear_span)(&a->spans[i], i, scale, from);
	}
}

static void axis_fini(struct axis *a)
{
	free(a->spans);
	free(a->weights);
}

static void blank(struct pixels *p, int width, int height, int channels)
{
	*p = (struct pixels){.width = width, .height = height, .channels = channels};
	p->data = xmalloc((size_t)width * (size_t)height * (size_t)channels);
}

static unsigned char mix(const unsigned char *from, size_t step, const struct span *s)
{
	float sum = 0;
	for (int k = 0; k < s->n; k++)
		sum += s->weights[k] * (float)from[(size_t)k * step];
	return (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum + 0.5f);
}

static void across(const struct pixels *in, int width, struct pixels *out)
{
	struct axis a;
	size_t ch = (size_t)in->channels;
	axis_init(&a, in->width, width);
	blank(out, width, in->height, in->channels);
	unsigned char *to = out->data;
	for (int y = 0; y < in->height; y++) {
		const unsigned char *row = in->data + (size_t)y * (size_t)in->width * ch;
		for (int x = 0; x < width; x++)
			for (size_t c = 0; c < ch; c++)
				*to++ =
				    mix(row + (size_t)a.spans[x].first * ch + c, ch, &a.spans[x]);
	}
	axis_fini(&a);
}

static void down(const struct pixels *in, int height, struct pixels *out)
{
	struct axis a;
	size_t stride = (size_t)in->width * (size_t)in->channels;
	axis_init(&a, in->height, height);
	blank(out, in->width, height, in->channels);
	for (int y = 0; y < height; y++) {
		const unsigned char *row = in->data + (size_t)a.spans[y].first * stride;
		unsigned char *to = out->data + (size_t)y * stride;
		for (size_t i = 0; i < stride; i++)
			to[i] = mix(row + i, stride, &a.spans[y]);
	}
	axis_fini(&a);
}

void pixels_resize(const struct pixels *in, int width, int height, struct pixels *out)
{
	struct pixels between;
	if ((double)width * in->height <= (double)height * in->width) {
		across(in, width, &between);
		down(&between, height, out);
	} else {
		down(in, height, &between);
		across(&between, width, out);
	}
	pixels_fini(&between);
}
