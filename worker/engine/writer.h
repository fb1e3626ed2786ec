/* writer.h - an image file written row by row: WebP, PNG or JPEG. Blocks; for the pool.
 * PNG and JPEG hold a few rows in memory, WebP the whole picture (4 bytes a pixel).
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_WRITER_H
#define ENGINE_WRITER_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/err.h"

struct image_writer;
struct image_spec {
	const char *path, *ext;
	int width, height, channels; /* as in struct pixels */
	int quality;		     /* 1..100 for WebP and JPEG; 0: the format's usual */
	const atomic_bool *stop;     /* watched while encoding: ECANCELED; may be NULL */
};

bool image_writer_can(const char *ext); /* webp, png, jpg, jpeg */
/* NULL with e filled on error. */
struct image_writer *image_writer_open(const struct image_spec *s, struct err *e) MUST_CHECK;
/* width * channels bytes; exactly height rows. */
int image_writer_row(struct image_writer *iw, const uint8_t *row, struct err *e) MUST_CHECK;
/* Completes the file; image_writer_free() is still to be called. */
int image_writer_finish(struct image_writer *iw, struct err *e) MUST_CHECK;
void image_writer_free(struct image_writer *iw); /* NULL allowed; an unfinished file stays behind */

#endif
