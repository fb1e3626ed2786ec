/* ort.h - the little of ONNX Runtime's C interface that is used here, opened at run time: no
 * headers of it are needed to build, and any version since 1.17 will do (its function table only
 * ever grows; the indexes are those of onnxruntime_c_api.h). For the helper process alone.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_ONNX_ORT_H
#define ENGINE_ONNX_ORT_H

#include <stddef.h>

#include "lib/base/err.h"

struct ort;
/* path: of libonnxruntime.so.1*. NULL with err filled when it can't be opened or is too old. */
struct ort *ort_open(const char *path, struct err *e) MUST_CHECK;
void ort_close(struct ort *o); /* no session is left; NULL allowed */
const char *ort_version(const struct ort *o);

/* A model of LaMa's shape: inputs "image" [b,3,n,n] and "mask" [b,1,n,n], one output [b,3,n,n], all
 * of them floats. */
struct ort_session;
/* threads: of the computation. */
struct ort_session *ort_load(struct ort *o, const char *model, int threads,
			     struct err *e) MUST_CHECK;
void ort_unload(struct ort_session *s);	   /* NULL allowed */
int ort_side(const struct ort_session *s); /* n; 512 when the model leaves it open */
/* image: 3*n*n floats of 0..1, one plane a channel; mask: n*n of 0 or 1 (1: paint); out: 3*n*n, as
 * the model gives them. Blocks for as long as it takes. */
int ort_inpaint(struct ort_session *s, const float *image, const float *mask, float *out,
		struct err *e) MUST_CHECK;

#endif
