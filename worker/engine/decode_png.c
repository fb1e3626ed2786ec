/* decode_png.c - see decode.h. libpng reports errors by longjmp: every call into it is in a
 * function of its own, whose locals are not used after the jump. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "lib/base/mem.h"
#include "worker/engine/decode.h"

#define MAX_CHUNK  (8u << 20) /* of text and colour profiles, uncompressed */
#define MAX_CHUNKS 64	      /* of those */

struct reader {
	const unsigned char *data;
	size_t len, at;
	jmp_buf jump;
	char text[160];
	png_structp png;
	png_infop info;
	png_bytep *rows;
};

static void __attribute__((noreturn)) failed(png_structp png, png_const_charp text)
{
	struct reader *r = png_get_error_ptr(png);
	snprintf(r->text, sizeof r->text, "%s", text);
	longjmp(r->jump, 1);
}

static void warned(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static void take(png_structp png, png_bytep out, size_t n)
{
	struct reader *r = png_get_io_ptr(png);
	if (n > r->len - r->at)
		png_error(png, "the file is cut short");
	memcpy(out, r->data + r->at, n);
	r->at += n;
}

static int read_head(struct reader *r)
{
	if (setjmp(r->jump))
		return -EBADMSG;
	r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, failed, warned);
	r->info = r->png ? png_create_info_struct(r->png) : NULL;
	if (!r->info)
		return -ENOMEM;
	/* pixels_room() says no, with numbers. */
	png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);
	png_set_chunk_malloc_max(r->png, MAX_CHUNK);
	png_set_chunk_cache_max(r->png, MAX_CHUNKS);
	png_set_read_fn(r->png, r, take);
	png_read_info(r->png, r->info);
	return 0;
}

/* To 8 bits and one, three or four channels. */
static int read_setup(struct reader *r, int *channels)
{
	if (setjmp(r->jump))
		return -EBADMSG;
	int color = png_get_color_type(r->png, r->info);
	png_set_expand(r->png);
	png_set_strip_16(r->png);
	bool alpha = color & PNG_COLOR_MASK_ALPHA || png_get_valid(r->png, r->info, PNG_INFO_tRNS);
	if (!(color & PNG_COLOR_MASK_COLOR) && alpha)
		png_set_gray_to_rgb(r->png);
	png_set_interlace_handling(r->png);
	png_read_update_info(r->png, r->info);
	*channels = png_get_channels(r->png, r->info);
	return 0;
}

static int read_rows(struct reader *r)
{
	if (setjmp(r->jump))
		return -EBADMSG;
	png_read_image(r->png, r->rows);
	return 0; /* what comes behind the pixels is nobody's business */
}

static int read_all(struct reader *r, struct pixels *p, struct err *e)
{
	int channels = 0;
	if (read_head(r) < 0 || read_setup(r, &channels) < 0)
		return -EBADMSG;
	int rc = pixels_room(p, png_get_image_width(r->png, r->info),
			     png_get_image_height(r->png, r->info), channels, e);
	if (rc < 0)
		return rc;
	r->rows = xcalloc((size_t)p->height, sizeof *r->rows);
	size_t stride = (size_t)p->width * (size_t)channels;
	for (int y = 0; y < p->height; y++)
		r->rows[y] = p->data + (size_t)y * stride;
	return read_rows(r);
}

int decode_png(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	struct reader r = {.data = data, .len = len};
	int rc = read_all(&r, p, e);
	if (rc == -EBADMSG && !e->code)
		err_set(e, EBADMSG, "the PNG is broken: %s", r.text[0] ? r.text : "unknown reason");
	if (r.png)
		png_destroy_read_struct(&r.png, &r.info, NULL);
	free(r.rows);
	if (rc < 0)
		pixels_fini(p);
	return rc;
}

static unsigned big_endian(const unsigned char *d)
{
	return (unsigned)d[0] << 24 | (unsigned)d[1] << 16 | (unsigned)d[2] << 8 | d[3];
}

int probe_png(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	if (len < 26 || memcmp(data + 12, "IHDR", 4) != 0)
		return err_set(e, EBADMSG, "the PNG is broken: it does not begin with a header");
	int type = data[25];
	int channels = type & PNG_COLOR_MASK_COLOR ? type & PNG_COLOR_MASK_ALPHA ? 4 : 3 : 1;
	return pixels_size(p, big_endian(data + 16), big_endian(data + 20), channels, e);
}
