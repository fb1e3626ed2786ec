/* writer.h - an image file written row by row: WebP, PNG or JPEG. Blocks; for the pool.
 * PNG and JPEG hold a few rows in memory, WebP the whole picture (4 bytes a pixel).
 * SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_WRITER_H
#define SYNTHETIC_WRITER_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/err.h"

struct image_writer;

bool image_writer_can(const char *ext); /* webp, png, jpg, jpeg */
/* `stop` (watched while encoding) makes finish fail with ECANCELED. NULL with e filled on error. */
struct image_writer *image_writer_open(const char *path, const char *ext, int w, int h,
				       const atomic_bool *stop, struct err *e) MUST_CHECK;
/* 3 * w bytes; exactly h rows. */
int image_writer_row(struct image_writer *iw, const uint8_t *rgb, struct err *e) MUST_CHECK;
/* Completes the file; image_writer_free() is still to be called. */
int image_writer_finish(struct image_writer *iw, struct err *e) MUST_CHECK;
void image_writer_free(struct image_writer *iw); /* NULL allowed; an unfinished file stays behind */

#endif
