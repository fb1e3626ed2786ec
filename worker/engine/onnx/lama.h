/* lama.h - fills the marked part of a picture by a model of LaMa's shape.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_ONNX_LAMA_H
#define ENGINE_ONNX_LAMA_H

#include "worker/engine/onnx/ort.h"
#include "worker/engine/pixels.h"

struct lama_job {
	const char *image, *mask; /* files; white in the mask is what is painted anew */
	const char *output, *ext; /* png, webp, jpg, jpeg */
};
/* The result has the size of the image. Only the marked part changes: the model sees it with as
 * much again around it, scaled to the model's side. Blocks. */
int lama_run(struct ort_session *s, const struct lama_job *job, struct err *e) MUST_CHECK;

/* Pure, for the tests: what of the picture the model sees. */
struct lama_crop {
	int x, y, width, height;
};
/* mask: grey, of the picture's size. -EINVAL when nothing is marked. side: of the model. */
int lama_crop(const struct pixels *mask, int side, struct lama_crop *out, struct err *e) MUST_CHECK;

#endif
