/* lama.c - see lama.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/onnx/lama.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"

#define MARKED	127 /* brighter than this is marked */
#define QUALITY 92  /* of jpg and webp: above it files grow and nothing is seen */

struct canvas {
	struct pixels image, mask; /* of one size */
	struct lama_crop crop;
};

static int max_of(int a, int b)
{
	return a > b ? a : b;
}

static int min_of(int a, int b)
{
	return a < b ? a : b;
}

/* ---- what the model sees ---- */

struct box {
	int left, top, right, bottom; /* right and bottom: the last marked */
};

static bool marked_box(const struct pixels *mask, struct box *b)
{
	*b = (struct box){mask->width, mask->height, -1, -1};
	for (int y = 0; y < mask->height; y++) {
		const unsigned char *row = mask->data + (size_t)y * (size_t)mask->width;
		for (int x = 0; x < mask->width; x++) {
			if (row[x] <= MARKED)
				continue;
			b->left = min_of(b->left, x);
			b->right = max_of(b->right, x);
			b->top = min_of(b->top, y);
			b->bottom = y;
		}
	}
	return b->right >= 0;
}

/* `want` pixels around the middle, moved so that they lie inside 0..size. */
static void span(int first, int last, int want, int size, int *at, int *len)
{
	*len = min_of(want, size);
	*at = min_of(max_of((first + last + 1 - *len) / 2, 0), size - *len);
}

int lama_crop(const struct pixels *mask, int side, struct lama_crop *out, struct err *e)
{
	struct box b;
	if (!marked_box(mask, &b))
		return err_set(e, EINVAL,
			       "the mask marks nothing; what shall be painted anew is white in it");
	int marked = max_of(b.right - b.left, b.bottom - b.top) + 1;
	int want = max_of(side, 2 * marked);
	span(b.left, b.right, want, mask->width, &out->x, &out->width);
	span(b.top, b.bottom, want, mask->height, &out->y, &out->height);
	return 0;
}

static void cut(const struct pixels *in, const struct lama_crop *c, struct pixels *out)
{
	size_t px = (size_t)in->channels, row = (size_t)c->width * px;
	*out = (struct pixels){c->width, c->height, in->channels, xmalloc(row * (size_t)c->height)};
	for (int y = 0; y < c->height; y++)
		memcpy(out->data + (size_t)y * row,
		       in->data + ((size_t)(c->y + y) * (size_t)in->width + (size_t)c->x) * px,
		       row);
}

static void cut_scaled(const struct pixels *in, const struct lama_crop *c, int side,
		       struct pixels *out)
{
	struct pixels part;
	cut(in, c, &part);
	pixels_resize(&part, side, side, out);
	pixels_fini(&part);
}

/* ---- to floats and back ---- */

static float *image_planes(const struct pixels *p)
{
	size_t n = (size_t)p->width * (size_t)p->height;
	float *f = xmalloc(3 * n * sizeof *f);
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < 3; c++)
			f[c * n + i] = (float)p->data[3 * i + c] / 255.0f;
	return f;
}

static float *mask_plane(const struct pixels *p)
{
	size_t n = (size_t)p->width * (size_t)p->height;
	float *f = xmalloc(n * sizeof *f);
	for (size_t i = 0; i < n; i++)
		f[i] = p->data[i] > MARKED ? 1.0f : 0.0f;
	return f;
}

/* Some exports of LaMa give 0..1, others 0..255. */
static float scale_of(const float *out, size_t n)
{
	float max = 0;
	for (size_t i = 0; i < n; i++)
		max = out[i] > max ? out[i] : max;
	return max > 2.0f ? 1.0f : 255.0f;
}

static unsigned char to_byte(float v)
{
	if (!(v > 0)) /* NaN too */
		return 0;
	return v >= 255.0f ? 255 : (unsigned char)lroundf(v);
}

static void from_planes(const float *f, int side, struct pixels *out)
{
	size_t n = (size_t)side * (size_t)side;
	float scale = scale_of(f, 3 * n);
	*out = (struct pixels){side, side, 3, xmalloc(3 * n)};
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < 3; c++)
			out->data[3 * i + c] = to_byte(f[c * n + i] * scale);
}

/* ---- the picture ---- */

static int read_canvas(struct canvas *v, const struct lama_job *job, int side, struct err *e)
{
	struct pixels mask = {0};
	int rc = pixels_read(job->image, 3, &v->image, e);
	if (rc < 0)
		return err_wrap(e, "the picture");
	rc = pixels_read(job->mask, 1, &mask, e);
	if (rc < 0)
		return err_wrap(e, "the mask");
	pixels_resize(&mask, v->image.width, v->image.height, &v->mask);
	pixels_fini(&mask);
	return lama_crop(&v->mask, side, &v->crop, e);
}

/* The mask's greys are the blend: a soft edge stays soft. */
static void paste(struct canvas *v, const struct pixels *part)
{
	const struct lama_crop *c = &v->crop;
	for (int y = 0; y < c->height; y++) {
		for (int x = 0; x < c->width; x++) {
			size_t at =
			    (size_t)(c->y + y) * (size_t)v->image.width + (size_t)(c->x + x);
			const unsigned char *from =
			    part->data + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
			int a = v->mask.data[at];
			for (size_t k = 0; k < 3; k++) {
				unsigned char *to = &v->image.data[3 * at + k];
				*to = (unsigned char)((from[k] * a + *to * (255 - a) + 127) / 255);
			}
		}
	}
}

static int paint(struct ort_session *s, struct canvas *v, struct err *e)
{
	int side = ort_side(s);
	struct pixels image, mask, painted, part;
	cut_scaled(&v->image, &v->crop, side, &image);
	cut_scaled(&v->mask, &v->crop, side, &mask);
	auto_free float *in = image_planes(&image), *marks = mask_plane(&mask);
	auto_free float *out = xmalloc(3 * sizeof *out * (size_t)side * (size_t)side);
	pixels_fini(&image);
	pixels_fini(&mask);
	int rc = ort_inpaint(s, in, marks, out, e);
	if (rc < 0)
		return rc;
	from_planes(out, side, &painted);
	pixels_resize(&painted, v->crop.width, v->crop.height, &part);
	pixels_fini(&painted);
	paste(v, &part);
	pixels_fini(&part);
	return 0;
}

int lama_run(struct ort_session *s, const struct lama_job *job, struct err *e)
{
	struct canvas v = {0};
	int rc = read_canvas(&v, job, ort_side(s), e);
	if (rc == 0)
		rc = paint(s, &v, e);
	if (rc == 0)
		rc = pixels_write(&v.image, job->output, job->ext, QUALITY, e);
	pixels_fini(&v.image);
	pixels_fini(&v.mask);
	return rc;
}
