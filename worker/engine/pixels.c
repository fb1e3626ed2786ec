/* pixels.c - see pixels.h: what a file is, conversion of channels, reading and writing.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/pixels.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/decode.h"
#include "worker/engine/writer.h"

static bool at(const unsigned char *d, size_t len, size_t from, const char *magic, size_t n)
{
	return len >= from + n && memcmp(d + from, magic, n) == 0;
}

enum picture_format picture_sniff(const void *data, size_t len)
{
	const unsigned char *d = data;
	if (at(d, len, 0, "\x89PNG\r\n\x1a\n", 8))
		return PICTURE_PNG;
	if (at(d, len, 0, "\xff\xd8\xff", 3))
		return PICTURE_JPEG;
	if (at(d, len, 0, "RIFF", 4) && at(d, len, 8, "WEBP", 4))
		return PICTURE_WEBP;
	if (at(d, len, 0, "GIF87a", 6) || at(d, len, 0, "GIF89a", 6))
		return PICTURE_GIF;
	if (at(d, len, 4, "ftypavif", 8) || at(d, len, 4, "ftypavis", 8))
		return PICTURE_AVIF;
	/* Two letters are little to go by: the four reserved bytes of the header are zero. */
	if (at(d, len, 0, "BM", 2) && at(d, len, 6, "\0\0\0\0", 4))
		return PICTURE_BMP;
	return PICTURE_UNKNOWN;
}

const char *picture_format_name(enum picture_format f)
{
	static const char *const names[] = {"unknown", "PNG", "JPEG", "WebP", "GIF", "BMP", "AVIF"};
	return names[f];
}

int pixels_size(struct pixels *p, unsigned width, unsigned height, int channels, struct err *e)
{
	if (width < 1 || height < 1)
		return err_set(e, EBADMSG, "the picture has no pixels");
	if (width > PIXELS_MAX_SIDE || height > PIXELS_MAX_SIDE ||
	    (uint64_t)width * height > PIXELS_MAX)
		return err_set(e, EFBIG,
			       "the picture says it is %ux%u; at most %d a side and %u megapixels "
			       "are read",
			       width, height, PIXELS_MAX_SIDE, PIXELS_MAX >> 20);
	*p = (struct pixels){.width = (int)width, .height = (int)height, .channels = channels};
	return 0;
}

int pixels_room(struct pixels *p, unsigned width, unsigned height, int channels, struct err *e)
{
	int rc = pixels_size(p, width, height, channels, e);
	if (rc < 0)
		return rc;
	size_t size = (size_t)width * height * (size_t)channels;
	p->data = size ? malloc(size) : NULL;
	if (p->data)
		return 0;
	err_set(e, ENOMEM, "no memory for a picture of %ux%u", width, height);
	return -ENOMEM;
}

void pixels_fini(struct pixels *p)
{
	free(p->data);
	*p = (struct pixels){0};
}

/* ---- channels ---- */

/* Rec. 601 luma, as libjpeg's and Pillow's grey: the weights add up to 2^16. */
static unsigned char luma(const unsigned char *rgb)
{
	return (unsigned char)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

static void convert_one(const unsigned char *from, int have, unsigned char *to, int want)
{
	unsigned char rgb[3];
	for (int i = 0; i < 3; i++)
		rgb[i] = from[have == 1 ? 0 : i];
	if (want == 4) {
		to[3] = have == 4 ? from[3] : 255;
	} else if (have == 4) {
		for (int i = 0; i < 3; i++)
			rgb[i] = pixels_over_white(rgb[i], from[3]);
	}
	if (want == 1)
		to[0] = have == 1 ? from[0] : luma(rgb);
	else
		memcpy(to, rgb, 3);
}

static int convert(struct pixels *p, int want, struct err *e)
{
	struct pixels out;
	if (want == 0 || want == p->channels)
		return 0;
	if (pixels_room(&out, (unsigned)p->width, (unsigned)p->height, want, e) < 0)
		return -e->code;
	size_t n = (size_t)p->width * (size_t)p->height;
	for (size_t i = 0; i < n; i++)
		convert_one(p->data + i * (size_t)p->channels, p->channels,
			    out.data + i * (size_t)want, want);
	free(p->data);
	*p = out;
	return 0;
}

/* ---- files ---- */

typedef int reader_fn(const unsigned char *data, size_t len, struct pixels *p, struct err *e);

/* What a GIF or BMP says of its size; what is not read here may still be read by another program,
 * which should not be sent a bomb. */
static int check_claim(enum picture_format f, const unsigned char *d, size_t len, struct err *e)
{
	struct pixels claim;
	if (f == PICTURE_GIF && len >= 10)
		return pixels_size(&claim, d[6] | (unsigned)d[7] << 8, d[8] | (unsigned)d[9] << 8,
				   3, e);
	if (f != PICTURE_BMP || len < 26)
		return 0;
	int32_t width, height; /* little-endian; a negative height is top-down */
	memcpy(&width, d + 18, sizeof width);
	memcpy(&height, d + 22, sizeof height);
	width = (int32_t)le32toh((uint32_t)width);
	height = (int32_t)le32toh((uint32_t)height);
	return pixels_size(&claim, (unsigned)width,
			   height < 0 ? 0u - (unsigned)height : (unsigned)height, 3, e);
}

static int by_format(const void *data, size_t len, reader_fn *const of[], struct pixels *p,
		     struct err *e)
{
	enum picture_format f = picture_sniff(data, len);
	*p = (struct pixels){0};
	switch (f) {
	case PICTURE_PNG:
	case PICTURE_JPEG:
	case PICTURE_WEBP:
		return of[f](data, len, p, e);
	case PICTURE_UNKNOWN:
		return err_set(e, ENOTSUP,
			       "this is no picture that is known here (PNG, JPEG, WebP)");
	case PICTURE_GIF:
	case PICTURE_BMP:
	case PICTURE_AVIF:
		break;
	}
	int rc = check_claim(f, data, len, e);
	if (rc < 0)
		return rc;
	return err_set(e, ENOTSUP, "%s pictures are not read here; use PNG, JPEG or WebP",
		       picture_format_name(f));
}

int pixels_probe(const void *data, size_t len, struct pixels *p, struct err *e)
{
	static reader_fn *const probe[] = {
	    [PICTURE_PNG] = probe_png, [PICTURE_JPEG] = probe_jpeg, [PICTURE_WEBP] = probe_webp};
	return by_format(data, len, probe, p, e);
}

bool pixels_ends_well(const void *data, size_t len)
{
	static const unsigned char png_end[] = {0,   0,	  0,	0,    'I',  'E',
						'N', 'D', 0xae, 0x42, 0x60, 0x82};
	static const unsigned char jpeg_end[] = {0xff, 0xd9};
	const unsigned char *d = data;
	uint32_t riff;
	switch (picture_sniff(data, len)) {
	case PICTURE_PNG:
		return len >= sizeof png_end &&
		       memcmp(d + len - sizeof png_end, png_end, sizeof png_end) == 0;
	case PICTURE_JPEG:
		return memcmp(d + len - sizeof jpeg_end, jpeg_end, sizeof jpeg_end) == 0;
	case PICTURE_WEBP:
		memcpy(&riff, d + 4, sizeof riff);
		return (uint64_t)le32toh(riff) + 8 <= len;
	case PICTURE_UNKNOWN:
	case PICTURE_GIF:
	case PICTURE_BMP:
	case PICTURE_AVIF:
		break;
	}
	return true;
}

int pixels_decode(const void *data, size_t len, int channels, struct pixels *p, struct err *e)
{
	static reader_fn *const decode[] = {
	    [PICTURE_PNG] = decode_png, [PICTURE_JPEG] = decode_jpeg, [PICTURE_WEBP] = decode_webp};
	struct err own = ERR_INIT;
	e = e ? e : &own; /* its code is passed on below */
	if (by_format(data, len, decode, p, e) < 0)
		return -e->code;
	if (convert(p, channels, e) == 0)
		return 0;
	pixels_fini(p);
	return -e->code;
}

int pixels_read(const char *path, int channels, struct pixels *p, struct err *e)
{
	auto_free char *data = NULL;
	size_t len;
	*p = (struct pixels){0};
	int rc = fs_read(path, PIXELS_MAX_FILE, &data, &len, e);
	return rc < 0 ? rc : pixels_decode(data, len, channels, p, e);
}

static int write_rows(struct image_writer *iw, const struct pixels *p, struct err *e)
{
	size_t stride = (size_t)p->width * (size_t)p->channels;
	int rc = 0;
	for (int y = 0; y < p->height && rc == 0; y++)
		rc = image_writer_row(iw, p->data + (size_t)y * stride, e);
	return rc < 0 ? rc : image_writer_finish(iw, e);
}

int pixels_write(const struct pixels *p, const char *path, const char *ext, int quality,
		 struct err *e)
{
	struct err own = ERR_INIT;
	struct image_spec spec = {
	    .path = path,
	    .ext = ext,
	    .width = p->width,
	    .height = p->height,
	    .channels = p->channels,
	    .quality = quality,
	};
	e = e ? e : &own;
	struct image_writer *iw = image_writer_open(&spec, e);
	if (!iw)
		return -e->code;
	int rc = write_rows(iw, p, e);
	image_writer_free(iw);
	return rc;
}
