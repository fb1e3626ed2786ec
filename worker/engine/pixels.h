/* pixels.h - pictures as engines need them: read by what their bytes say, never by a name; written
 * as what was asked for. Everything here blocks: in the pool, or in a process of its own.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_PIXELS_H
#define ENGINE_PIXELS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define PIXELS_MAX_SIDE 16384
#define PIXELS_MAX	(64u << 20) /* pixels of one picture: a small file can claim to be huge */
#define PIXELS_MAX_FILE (64u << 20) /* bytes of a file that is read */

enum picture_format {
	PICTURE_UNKNOWN,
	PICTURE_PNG,
	PICTURE_JPEG,
	PICTURE_WEBP, /* still */
	PICTURE_GIF,
	PICTURE_BMP,
	PICTURE_AVIF,
};
/* By the first bytes (32 are enough). */
enum picture_format picture_sniff(const void *data, size_t len);
const char *picture_format_name(enum picture_format f); /* "PNG", … */

struct pixels {
	int width, height, channels; /* 1 grey, 3 RGB, 4 RGBA; 8 bits each, rows without padding */
	unsigned char *data;
};
/* PNG, JPEG, WebP; anything else is -ENOTSUP with its name, a broken or cut file -EBADMSG, one too
 * large -EFBIG. channels: what it shall be converted to (grey by luma, an alpha is laid over
 * white), 0: as it is. *p is the caller's. */
int pixels_read(const char *path, int channels, struct pixels *p, struct err *e) MUST_CHECK;
int pixels_decode(const void *data, size_t len, int channels, struct pixels *p,
		  struct err *e) MUST_CHECK;
/* The size alone, checked as pixels_decode() does; channels as the file has them (3 for a palette),
 * data stays NULL. */
int pixels_probe(const void *data, size_t len, struct pixels *p, struct err *e) MUST_CHECK;
/* Whether the file ends as its format ends: cut files don't. Cheaper than decoding it, and says
 * nothing of what lies between. True for formats that are not read here. */
bool pixels_ends_well(const void *data, size_t len);
void pixels_fini(struct pixels *p);
/* ext: png, jpg, jpeg, webp; quality 1..100 for the last three, 0: the usual. JPEG lays an alpha
 * over white. */
int pixels_write(const struct pixels *p, const char *path, const char *ext, int quality,
		 struct err *e) MUST_CHECK;
/* Area average when it shrinks, bilinear when it grows. *out is the caller's. */
void pixels_resize(const struct pixels *in, int width, int height, struct pixels *out);

/* One channel of a pixel with that alpha, laid over white. */
static inline unsigned char pixels_over_white(unsigned char value, unsigned char alpha)
{
	return (unsigned char)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

#endif
