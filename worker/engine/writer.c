/* writer.c - see writer.h. libpng and libjpeg report errors by longjmp: each call into them is in a
 * function of its own. SPDX-License-Identifier: MIT */
#include "worker/engine/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

#include "lib/base/mem.h"
#include "worker/engine/pixels.h"

enum format { FORMAT_WEBP, FORMAT_PNG, FORMAT_JPEG };

struct image_writer {
	enum format format;
	FILE *file;
	int w, h, y, channels, quality;
	const atomic_bool *stop;
	jmp_buf jump;
	char text[200]; /* why a library gave up */
	png_structp png;
	png_infop info;
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr jpeg_errors;
	bool jpeg_open;
	WebPPicture webp;
	uint8_t *flat; /* a row of a JPEG that came with alpha */
};

static bool format_of(const char *ext, enum format *f)
{
	static const struct {
		const char *ext;
		enum format format;
	} known[] = {{"webp", FORMAT_WEBP},
		     {"png", FORMAT_PNG},
		     {"jpg", FORMAT_JPEG},
		     {"jpeg", FORMAT_JPEG}};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].ext, ext) == 0) {
			*f = known[i].format;
			return true;
		}
	}
	return false;
}

bool image_writer_can(const char *ext)
{
	enum format f;
	return format_of(ext, &f);
}

static int failed(struct image_writer *iw, struct err *e)
{
	return err_set(e, EIO, "the image could not be encoded: %s",
		       iw->text[0] ? iw->text : "unknown reason");
}

/* ---- PNG ---- */

static void __attribute__((noreturn)) png_failed(png_structp png, png_const_charp text)
{
	struct image_writer *iw = png_get_error_ptr(png);
	snprintf(iw->text, sizeof iw->text, "%s", text);
	longjmp(iw->jump, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static int open_png(struct image_writer *iw)
{
	if (setjmp(iw->jump))
		return -EIO;
	iw->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, iw, png_failed, png_warned);
	iw->info = iw->png ? png_create_info_struct(iw->png) : NULL;
	if (!iw->info)
		return -ENOMEM;
	png_init_io(iw->png, iw->file);
	png_set_compression_level(iw->png, 4);
	png_set_IHDR(iw->png, iw->info, (png_uint_32)iw->w, (png_uint_32)iw->h, 8,
		     iw->channels == 1	 ? PNG_COLOR_TYPE_GRAY
		     : iw->channels == 4 ? PNG_COLOR_TYPE_RGB_ALPHA
					 : PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_sRGB(iw->png, iw->info, PNG_sRGB_INTENT_PERCEPTUAL);
	png_write_info(iw->png, iw->info);
	return 0;
}

static int row_png(struct image_writer *iw, const uint8_t *row)
{
	if (setjmp(iw->jump))
		return -EIO;
	png_write_row(iw->png, row);
	return 0;
}

static int finish_png(struct image_writer *iw)
{
	if (setjmp(iw->jump))
		return -EIO;
	png_write_end(iw->png, NULL);
	return 0;
}

/* ---- JPEG ---- */

static void __attribute__((noreturn)) jpeg_failed(j_common_ptr jpeg)
{
	struct image_writer *iw = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];
	jpeg->err->format_message(jpeg, text);
	snprintf(iw->text, sizeof iw->text, "%.199s", text);
	longjmp(iw->jump, 1);
}

static int open_jpeg(struct image_writer *iw)
{
	iw->jpeg.err = jpeg_std_error(&iw->jpeg_errors);
	iw->jpeg_errors.error_exit = jpeg_failed;
	iw->jpeg.client_data = iw;
	if (setjmp(iw->jump))
		return -EIO;
	jpeg_create_compress(&iw->jpeg);
	iw->jpeg.client_data = iw; /* creating cleared it in old versions */
	iw->jpeg_open = true;
	jpeg_stdio_dest(&iw->jpeg, iw->file);
	iw->jpeg.image_width = (JDIMENSION)iw->w;
	iw->jpeg.image_height = (JDIMENSION)iw->h;
	iw->jpeg.input_components = iw->channels == 1 ? 1 : 3;
	iw->jpeg.in_color_space = iw->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_set_defaults(&iw->jpeg);
	jpeg_set_quality(&iw->jpeg, iw->quality, TRUE);
	jpeg_start_compress(&iw->jpeg, TRUE);
	return 0;
}

static int scanline(struct image_writer *iw, const uint8_t *row)
{
	JSAMPROW line = (JSAMPROW)(uintptr_t)row; /* libjpeg does not write to it */
	if (setjmp(iw->jump))
		return -EIO;
	jpeg_write_scanlines(&iw->jpeg, &line, 1);
	return 0;
}

/* JPEG knows no alpha: what shines through is white. */
static int row_jpeg(struct image_writer *iw, const uint8_t *row)
{
	if (iw->channels != 4)
		return scanline(iw, row);
	for (int x = 0; x < iw->w; x++, row += 4)
		for (int i = 0; i < 3; i++)
			iw->flat[3 * x + i] = pixels_over_white(row[i], row[3]);
	return scanline(iw, iw->flat);
}

static int finish_jpeg(struct image_writer *iw)
{
	if (setjmp(iw->jump))
		return -EIO;
	jpeg_finish_compress(&iw->jpeg);
	return 0;
}

/* ---- WebP ---- */

static int webp_write(const uint8_t *data, size_t size, const WebPPicture *p)
{
	struct image_writer *iw = p->custom_ptr;
	return fwrite(data, 1, size, iw->file) == size;
}

static int webp_goes_on(int percent, const WebPPicture *p)
{
	const struct image_writer *iw = p->custom_ptr;
	(void)percent;
	return !iw->stop || !atomic_load(iw->stop);
}

static int open_webp(struct image_writer *iw)
{
	if (!WebPPictureInit(&iw->webp))
		return -EIO;
	iw->webp.use_argb = 1;
	iw->webp.width = iw->w;
	iw->webp.height = iw->h;
	iw->webp.writer = webp_write;
	iw->webp.progress_hook = webp_goes_on;
	iw->webp.custom_ptr = iw;
	return WebPPictureAlloc(&iw->webp) ? 0 : -ENOMEM;
}

static int row_webp(struct image_writer *iw, const uint8_t *row)
{
	uint32_t *out = iw->webp.argb + (ptrdiff_t)iw->y * iw->webp.argb_stride;
	int green = iw->channels == 1 ? 0 : 1, blue = 2 * green;
	for (int x = 0; x < iw->w; x++, row += iw->channels)
		out[x] = (iw->channels == 4 ? (uint32_t)row[3] << 24 : UINT32_C(0xff000000)) |
			 (uint32_t)row[0] << 16 | (uint32_t)row[green] << 8 | row[blue];
	return 0;
}

static int finish_webp(struct image_writer *iw)
{
	WebPConfig config;
	if (!WebPConfigPreset(&config, WEBP_PRESET_PICTURE, (float)iw->quality))
		return -EIO;
	/* Speed over size for the largest ones. */
	config.method = (int64_t)iw->w * iw->h > 4000000 ? 1 : 4;
	if (WebPEncode(&config, &iw->webp))
		return 0;
	if (iw->webp.error_code == VP8_ENC_ERROR_USER_ABORT)
		return -ECANCELED;
	snprintf(iw->text, sizeof iw->text, "libwebp error %d", (int)iw->webp.error_code);
	return -EIO;
}

/* ---- all ---- */

static int choose(struct image_writer *iw, const struct image_spec *s, struct err *e)
{
	static const int normal[] = {[FORMAT_WEBP] = 88, [FORMAT_PNG] = 100, [FORMAT_JPEG] = 92};
	if (!format_of(s->ext, &iw->format))
		return err_set(e, EINVAL, "no image format has the extension '%.16s'", s->ext);
	if (iw->format == FORMAT_WEBP &&
	    (s->width > WEBP_MAX_DIMENSION || s->height > WEBP_MAX_DIMENSION))
		return err_set(e, EINVAL, "%dx%d is too large for WebP: at most %d a side",
			       s->width, s->height, WEBP_MAX_DIMENSION);
	iw->quality = s->quality ? s->quality : normal[iw->format];
	iw->file = fopen(s->path, "wbe");
	return iw->file ? 0 : err_sys(e, errno, "cannot write %s", s->path);
}

struct image_writer *image_writer_open(const struct image_spec *s, struct err *e)
{
	static int (*const open[])(struct image_writer *) = {open_webp, open_png, open_jpeg};
	struct image_writer *iw = xcalloc(1, sizeof *iw);
	iw->w = s->width;
	iw->h = s->height;
	iw->channels = s->channels;
	iw->stop = s->stop;
	if (choose(iw, s, e) == 0) {
		iw->flat = xmalloc(3 * (size_t)s->width);
		if (open[iw->format](iw) == 0)
			return iw;
		failed(iw, e);
	}
	image_writer_free(iw);
	return NULL;
}

int image_writer_row(struct image_writer *iw, const uint8_t *data, struct err *e)
{
	static int (*const row[])(struct image_writer *, const uint8_t *) = {row_webp, row_png,
									     row_jpeg};
	if (row[iw->format](iw, data) < 0)
		return failed(iw, e);
	iw->y++;
	return 0;
}

int image_writer_finish(struct image_writer *iw, struct err *e)
{
	static int (*const finish[])(struct image_writer *) = {finish_webp, finish_png,
							       finish_jpeg};
	int rc = finish[iw->format](iw);
	if (rc == -ECANCELED)
		return err_set(e, ECANCELED, "cancelled");
	if (rc < 0)
		return failed(iw, e);
	FILE *f = steal(&iw->file);
	if (ferror(f) | fclose(f))
		return err_sys(e, errno ? errno : EIO, "cannot write the image");
	return 0;
}

void image_writer_free(struct image_writer *iw)
{
	if (!iw)
		return;
	if (iw->png)
		png_destroy_write_struct(&iw->png, &iw->info);
	if (iw->jpeg_open)
		jpeg_destroy_compress(&iw->jpeg);
	if (iw->format == FORMAT_WEBP)
		WebPPictureFree(&iw->webp);
	if (iw->file)
		fclose(iw->file);
	free(iw->flat);
	free(iw);
}
