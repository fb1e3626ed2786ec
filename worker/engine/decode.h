/* decode.h - the decoders behind pixels.h, one a library. Each gets a whole file in memory, refuses
 * what pixels_room() refuses before it allocates, and leaves p->data to the caller only when it
 * returns 0. SPDX-License-Identifier: MIT */
#ifndef ENGINE_DECODE_H
#define ENGINE_DECODE_H

#include "worker/engine/pixels.h"

int decode_png(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;
int decode_jpeg(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;
int decode_webp(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;

/* Only what the head of the file says; checked by pixels_size(). */
int probe_png(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;
int probe_jpeg(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;
int probe_webp(const unsigned char *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;

/* Takes the size into *p, or says why it is out of range. */
int pixels_size(struct pixels *p, unsigned width, unsigned height, int channels,
		struct err *e) MUST_CHECK;
/* Takes the size into *p and allocates, or says why not. */
int pixels_room(struct pixels *p, unsigned width, unsigned height, int channels,
		struct err *e) MUST_CHECK;

#endif
