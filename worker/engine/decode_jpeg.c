/* decode_jpeg.c - see decode.h. libjpeg reports errors by longjmp: every call into it is in a
 * function of its own, whose locals are not used after the jump. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
#include <jerror.h>

#include "lib/base/mem.h"
#include "worker/engine/decode.h"

#define MAX_SCANS                                                                                  \
	100 /* a progressive file has about ten; each costs the time of a whole picture            \
	     */

struct reader {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	char text[160];
	bool open;
	unsigned char *row; /* CMYK */
};

static void __attribute__((noreturn)) failed(j_common_ptr jpeg)
{
	struct reader *r = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];
	jpeg->err->format_message(jpeg, text);
	snprintf(r->text, sizeof r->text, "%.159s", text);
	longjmp(r->jump, 1);
}

/* libjpeg goes on with grey where a file ends too early; a picture half grey is no picture. */
static void warned(j_common_ptr jpeg, int level)
{
	if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
		failed(jpeg);
}

static void watch(j_common_ptr jpeg)
{
	struct reader *r = jpeg->client_data;
	if (r->jpeg.input_scan_number <= MAX_SCANS)
		return;
	snprintf(r->text, sizeof r->text, "more than %d scans", MAX_SCANS);
	longjmp(r->jump, 1);
}

static int read_head(struct reader *r, const unsigned char *data, size_t len)
{
	r->jpeg.err = jpeg_std_error(&r->errors);
	r->errors.error_exit = failed;
	r->errors.emit_message = warned;
	r->jpeg.client_data = r;
	if (setjmp(r->jump))
		return -EBADMSG;
	jpeg_create_decompress(&r->jpeg);
	r->jpeg.client_data = r; /* creating cleared it in old versions */
	r->open = true;
	r->progress.progress_monitor = watch;
	r->jpeg.progress = &r->progress;
	jpeg_mem_src(&r->jpeg, data, (unsigned long)len);
	jpeg_read_header(&r->jpeg, TRUE);
	return 0;
}

static int read_setup(struct reader *r)
{
	if (setjmp(r->jump))
		return -EBADMSG;
	if (r->jpeg.jpeg_color_space == JCS_GRAYSCALE)
		r->jpeg.out_color_space = JCS_GRAYSCALE;
	else if (r->jpeg.num_components == 4)
		r->jpeg.out_color_space = JCS_CMYK;
	else
		r->jpeg.out_color_space = JCS_RGB;
	jpeg_start_decompress(&r->jpeg);
	return 0;
}

/* Adobe's files, nearly all there are, hold the inverse of the ink. */
static void from_cmyk(const struct reader *r, unsigned char *rgb)
{
	unsigned flip = r->jpeg.saw_Adobe_marker ? 0 : 255;
	for (JDIMENSION x = 0; x < r->jpeg.output_width; x++)
		for (int i = 0; i < 3; i++)
			*rgb++ = (unsigned char)((r->row[4 * x + (unsigned)i] ^ flip) *
						 (r->row[4 * x + 3] ^ flip) / 255);
}

static int read_rows(struct reader *r, struct pixels *p)
{
	size_t stride = (size_t)p->width * (size_t)p->channels;
	if (setjmp(r->jump))
		return -EBADMSG;
	while (r->jpeg.output_scanline < r->jpeg.output_height) {
		unsigned char *to = p->data + r->jpeg.output_scanline * stride;
		JSAMPROW line = r->row ? r->row : to;
		if (jpeg_read_scanlines(&r->jpeg, &line, 1) == 1 && r->row)
			from_cmyk(r, to);
	}
	return 0; /* what comes behind the pixels is nobody's business */
}

static int channels_of(const struct reader *r)
{
	return r->jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
}

static int read_all(struct reader *r, const unsigned char *data, size_t len, struct pixels *p,
		    struct err *e)
{
	if (read_head(r, data, len) < 0)
		return -EBADMSG;
	/* Before a progressive file makes libjpeg allocate for all of it. */
	int rc = pixels_room(p, r->jpeg.image_width, r->jpeg.image_height, channels_of(r), e);
	if (rc < 0 || (rc = read_setup(r)) < 0)
		return rc;
	if (r->jpeg.out_color_space == JCS_CMYK)
		r->row = xmalloc(4 * (size_t)p->width);
	return read_rows(r, p);
}

static int read_size(struct reader *r, const unsigned char *data, size_t len, struct pixels *p,
		     struct err *e)
{
	if (read_head(r, data, len) < 0)
		return -EBADMSG;
	return pixels_size(p, r->jpeg.image_width, r->jpeg.image_height, channels_of(r), e);
}

static int with_reader(int (*read)(struct reader *, const unsigned char *, size_t, struct pixels *,
				   struct err *),
		       const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	struct reader *r = xcalloc(1, sizeof *r);
	int rc = read(r, data, len, p, e);
	if (rc == -EBADMSG && !e->code)
		err_set(e, EBADMSG, "the JPEG is broken: %s",
			r->text[0] ? r->text : "unknown reason");
	if (r->open)
		jpeg_destroy_decompress(&r->jpeg);
	free(r->row);
	free(r);
	if (rc < 0)
		pixels_fini(p);
	return rc;
}

int decode_jpeg(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	return with_reader(read_all, data, len, p, e);
}

int probe_jpeg(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	return with_reader(read_size, data, len, p, e);
}
