/* test_pixels.c - pictures read, written, converted and resized; broken and hostile files.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/engine/lab.h"

#include <jpeglib.h>
#include <png.h>

#include "worker/engine/pixels.h"
#include "worker/engine/writer.h"

struct place {
	char dir[32], path[64];
};

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof *p);
	snprintf(p->dir, sizeof p->dir, "/tmp/pixels-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof p->path, "%s/picture", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	fs_remove_tree(p->dir, &e);
	free(p);
	return 0;
}

/* A gradient: x in red, y in green, their sum in blue, alpha by x. */
static struct pixels gradient(int w, int h, int channels)
{
	struct pixels p = {.width = w, .height = h, .channels = channels};
	unsigned char *d = p.data = xmalloc((size_t)(w * h * channels));
	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++) {
			int v[4] = {x * 255 / w, y * 255 / h, (x + y) * 255 / (w + h), 255 - x};
			for (int c = 0; c < channels; c++)
				*d++ = (unsigned char)v[c];
		}
	return p;
}

static double distance(const struct pixels *a, const struct pixels *b)
{
	double sum = 0;
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->height, b->height);
	assert_int_equal(a->channels, b->channels);
	int n = a->width * a->height * a->channels;
	for (int i = 0; i < n; i++)
		sum += abs(a->data[i] - b->data[i]);
	return sum / n;
}

static void read_as(const char *path, int channels, struct pixels *p)
{
	struct err e = ERR_INIT;
	if (pixels_read(path, channels, p, &e) < 0)
		fail_msg("%s", e.text);
}

static void write_as(const struct pixels *p, const char *path, const char *ext, int quality)
{
	struct err e = ERR_INIT;
	if (pixels_write(p, path, ext, quality, &e) < 0)
		fail_msg("%s", e.text);
}

static enum picture_format sniff_file(const char *path)
{
	struct err e = ERR_INIT;
	auto_free char *data = NULL;
	size_t len;
	assert_int_equal(fs_read(path, 1 << 20, &data, &len, &e), 0);
	return picture_sniff(data, len < 32 ? len : 32);
}

static void probe_as(const char *path, int channels)
{
	struct err e = ERR_INIT;
	auto_free char *data = NULL;
	size_t len;
	struct pixels p;
	assert_int_equal(fs_read(path, 1 << 20, &data, &len, &e), 0);
	assert_int_equal(pixels_probe(data, len, &p, &e), 0);
	assert_int_equal(p.width, 61);
	assert_int_equal(p.height, 37);
	assert_int_equal(p.channels, channels);
	assert_null(p.data);
}

static void test_sniff(void **state)
{
	(void)state;
#define SNIFF(text) picture_sniff(text, sizeof text - 1)
	assert_int_equal(SNIFF("\x89PNG\r\n\x1a\n"), PICTURE_PNG);
	assert_int_equal(SNIFF("\x89PNG\r\n\x1a"), PICTURE_UNKNOWN);
	assert_int_equal(SNIFF("\xff\xd8\xff\xe0"), PICTURE_JPEG);
	assert_int_equal(SNIFF("RIFF\1\2\3\4WEBPVP8 "), PICTURE_WEBP);
	assert_int_equal(SNIFF("RIFF\1\2\3\4WAVEfmt "), PICTURE_UNKNOWN);
	assert_int_equal(SNIFF("GIF89a"), PICTURE_GIF);
	assert_int_equal(SNIFF("BM\1\2\3\4\0\0\0\0"), PICTURE_BMP);
	assert_int_equal(SNIFF("BMP pictures are"), PICTURE_UNKNOWN);
	assert_int_equal(SNIFF("\0\0\0\x20"
			       "ftypavif"),
			 PICTURE_AVIF);
	assert_int_equal(SNIFF("<!doctype html>"), PICTURE_UNKNOWN);
	assert_int_equal(picture_sniff("", 0), PICTURE_UNKNOWN);
	assert_string_equal(picture_format_name(PICTURE_AVIF), "AVIF");
	assert_string_equal(picture_format_name(PICTURE_WEBP), "WebP");
}

/* Every format with every number of channels; `most` is what a lossy one may change. */
static void test_round_trips(void **state)
{
	static const struct {
		const char *ext;
		enum picture_format format;
		int channels, comes_back;
		double most;
	} rows[] = {
	    {"png", PICTURE_PNG, 1, 1, 0},   {"png", PICTURE_PNG, 3, 3, 0},
	    {"png", PICTURE_PNG, 4, 4, 0},   {"jpg", PICTURE_JPEG, 1, 1, 2},
	    {"jpeg", PICTURE_JPEG, 3, 3, 2}, {"webp", PICTURE_WEBP, 1, 3, 3},
	    {"webp", PICTURE_WEBP, 3, 3, 3}, {"webp", PICTURE_WEBP, 4, 4, 3},
	};
	struct place *place = *state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pixels in = gradient(61, 37, rows[i].channels), out, same;
		write_as(&in, place->path, rows[i].ext, 95);
		assert_int_equal(sniff_file(place->path), rows[i].format);
		read_as(place->path, 0, &out);
		assert_int_equal(out.channels, rows[i].comes_back);
		pixels_fini(&out);
		probe_as(place->path, rows[i].comes_back);
		read_as(place->path, rows[i].channels, &same);
		assert_true(distance(&in, &same) <= rows[i].most);
		pixels_fini(&same);
		pixels_fini(&in);
	}
}

static void test_alpha_is_laid_over_white(void **state)
{
	struct place *place = *state;
	static unsigned char rgba[] = {200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 51};
	struct pixels in = {.width = 3, .height = 1, .channels = 4, .data = rgba}, out;
	write_as(&in, place->path, "png", 0);
	read_as(place->path, 3, &out);
	assert_memory_equal(out.data, "\xc8\x64\x00\xff\xff\xff\xf4\xe0\xcc", 9);
	pixels_fini(&out);
	read_as(place->path, 1, &out);
	assert_int_equal(out.data[0], 118); /* .299 * 200 + .587 * 100 */
	assert_int_equal(out.data[1], 255);
	pixels_fini(&out);
	in.width = 1;
	in.data[3] = 0; /* a JPEG of nothing is white */
	write_as(&in, place->path, "jpg", 100);
	read_as(place->path, 3, &out);
	assert_true(out.data[0] > 253 && out.data[1] > 253 && out.data[2] > 253);
	pixels_fini(&out);
	in.data[3] = 255;
}

static void test_grey_becomes_color(void **state)
{
	struct place *place = *state;
	struct pixels in = gradient(9, 4, 1), out;
	write_as(&in, place->path, "png", 0);
	read_as(place->path, 4, &out);
	for (int i = 0; i < 36; i++) {
		assert_int_equal(out.data[4 * i], in.data[i]);
		assert_int_equal(out.data[4 * i + 2], in.data[i]);
		assert_int_equal(out.data[4 * i + 3], 255);
	}
	pixels_fini(&out);
	pixels_fini(&in);
}

/* ---- what only other programs write ---- */

static void write_png(const char *path, int depth, int type, int interlace, png_bytepp rows, int w,
		      int h)
{
	FILE *f = fopen(path, "wb");
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	static png_color palette[4] = {{1, 2, 3}, {50, 60, 70}, {200, 0, 0}, {0, 0, 250}};
	static unsigned char trans[2] = {0, 128};
	png_init_io(png, f);
	png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, type, interlace, 0, 0);
	if (type == PNG_COLOR_TYPE_PALETTE) {
		png_set_PLTE(png, info, palette, 4);
		png_set_tRNS(png, info, trans, 2, NULL);
	}
	png_write_info(png, info);
	png_write_image(png, rows);
	png_write_end(png, NULL);
	png_destroy_write_struct(&png, &info);
	fclose(f);
}

static void test_png_of_every_kind(void **state)
{
	struct place *place = *state;
	struct pixels out;
	unsigned char deep[] = {0x12, 0xff, 0x80, 0x00, 0xfe, 0x01, 0, 0, 0xff, 0xff, 0x40, 0};
	unsigned char *row = deep;
	write_png(place->path, 16, PNG_COLOR_TYPE_RGB, 0, &row, 2, 1);
	read_as(place->path, 0, &out);
	assert_int_equal(out.channels, 3);
	assert_memory_equal(out.data, "\x12\x80\xfe\x00\xff\x40", 6);
	pixels_fini(&out);

	unsigned char two_bits[] = {0x1b}; /* 0 1 2 3 */
	row = two_bits;
	write_png(place->path, 2, PNG_COLOR_TYPE_PALETTE, 0, &row, 4, 1);
	read_as(place->path, 0, &out);
	assert_int_equal(out.channels, 4);
	assert_memory_equal(out.data, "\1\2\3\0\x32\x3c\x46\x80\xc8\0\0\xff\0\0\xfa\xff", 16);
	pixels_fini(&out);

	unsigned char bits[] = {0xa0}; /* 1 0 1 */
	row = bits;
	write_png(place->path, 1, PNG_COLOR_TYPE_GRAY, 0, &row, 3, 1);
	read_as(place->path, 0, &out);
	assert_int_equal(out.channels, 1);
	assert_memory_equal(out.data, "\xff\0\xff", 3);
	pixels_fini(&out);

	unsigned char grey_alpha[] = {10, 255, 20, 0};
	row = grey_alpha;
	write_png(place->path, 8, PNG_COLOR_TYPE_GRAY_ALPHA, 0, &row, 2, 1);
	read_as(place->path, 0, &out);
	assert_int_equal(out.channels, 4);
	assert_memory_equal(out.data, "\x0a\x0a\x0a\xff\x14\x14\x14\0", 8);
	pixels_fini(&out);

	struct pixels in = gradient(13, 11, 3);
	unsigned char *rows[11];
	for (int y = 0; y < 11; y++)
		rows[y] = in.data + 39 * y;
	write_png(place->path, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, rows, 13, 11);
	read_as(place->path, 0, &out);
	assert_true(distance(&in, &out) == 0);
	pixels_fini(&out);
	pixels_fini(&in);
}

static void test_jpeg_in_cmyk(void **state)
{
	struct place *place = *state;
	struct jpeg_compress_struct c = {0};
	struct jpeg_error_mgr errors;
	struct pixels out;
	unsigned char ink[4 * 16 * 16], *row = ink;
	for (int i = 0; i < 16 * 16; i++) /* inverted, as Adobe does: pure red */
		memcpy(ink + 4 * i, "\xff\0\0\xff", 4);
	FILE *f = fopen(place->path, "wb");
	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_stdio_dest(&c, f);
	c.image_width = c.image_height = 16;
	c.input_components = 4;
	c.in_color_space = JCS_CMYK;
	jpeg_set_defaults(&c);
	jpeg_start_compress(&c, TRUE);
	for (int y = 0; y < 16; y++)
		jpeg_write_scanlines(&c, &row, 1);
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	fclose(f);
	read_as(place->path, 0, &out);
	assert_int_equal(out.channels, 3);
	assert_true(out.data[0] > 250 && out.data[1] < 5 && out.data[2] < 5);
	pixels_fini(&out);
}

/* ---- broken and hostile ---- */

static void refused(const void *data, size_t len, int code, const char *words)
{
	struct pixels p;
	struct err e = ERR_INIT;
	assert_int_equal(pixels_decode(data, len, 0, &p, &e), -code);
	assert_null(p.data);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static void test_cut_files(void **state)
{
	static const char *const exts[] = {"png", "jpg", "webp"};
	struct place *place = *state;
	for (size_t i = 0; i < ARRAY_LEN(exts); i++) {
		struct pixels in = gradient(40, 40, 3), out;
		struct err e = ERR_INIT;
		auto_free char *data = NULL;
		size_t len;
		write_as(&in, place->path, exts[i], 0);
		pixels_fini(&in);
		assert_int_equal(fs_read(place->path, 1 << 20, &data, &len, &e), 0);
		for (size_t n = 0; n < len * 3 / 4; n++) {
			err_clear(&e);
			assert_true(pixels_decode(data, n, 0, &out, &e) < 0);
			assert_int_not_equal(e.code, 0);
			assert_null(out.data);
		}
	}
}

/* Of a PNG chunk: type and data. */
static uint32_t crc(const char *data, size_t len)
{
	uint32_t c = ~UINT32_C(0);
	for (size_t i = 0; i < len; i++) {
		c ^= (unsigned char)data[i];
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ UINT32_C(0xedb88320) : c >> 1;
	}
	return ~c;
}

static void test_huge_claims(void **state)
{
	struct place *place = *state;
	struct pixels in = gradient(8, 8, 3);
	struct err e = ERR_INIT;
	auto_free char *png = NULL, *jpg = NULL;
	size_t len;
	write_as(&in, place->path, "png", 0);
	assert_int_equal(fs_read(place->path, 1 << 20, &png, &len, &e), 0);
	memcpy(png + 16, "\x00\x00\x40\x01\x00\x00\x00\x08", 8); /* 16385 x 8 */
	uint32_t sum = crc(png + 12, 17);
	for (int i = 0; i < 4; i++)
		png[29 + i] = (char)(sum >> (24 - 8 * i));
	refused(png, len, EFBIG, "16385x8");
	write_as(&in, place->path, "jpg", 0);
	assert_int_equal(fs_read(place->path, 1 << 20, &jpg, &len, &e), 0);
	char *frame = memmem(jpg, len, "\xff\xc0", 2);
	assert_non_null(frame);
	memcpy(frame + 5, "\x40\x00\x40\x00", 4); /* 16384 a side, but 256 megapixels */
	refused(jpg, len, EFBIG, "16384x16384");
	pixels_fini(&in);
}

static void test_what_is_not_read(void **state)
{
	struct place *place = *state;
	struct pixels p;
	struct err e = ERR_INIT;
	(void)state;
	refused("<html>", 6, ENOTSUP, "no picture that is known");
	refused("GIF89a\1\0\1\0", 10, ENOTSUP, "GIF pictures are not read here");
	refused("\xff\xd8\xff\xe0nothing", 11, EBADMSG, "JPEG is broken");
	refused("\x89PNG\r\n\x1a\n????????????????", 24, EBADMSG, "PNG is broken");
	refused("RIFF\x10\0\0\0WEBPVP8 xxxxxxxx", 24, EBADMSG, "WebP is broken");
	assert_int_equal(pixels_read(place->path, 0, &p, &e), -ENOENT);
	assert_null(p.data);
}

static void test_what_is_not_written(void **state)
{
	struct place *place = *state;
	struct pixels p = gradient(4, 4, 3);
	struct err e = ERR_INIT;
	assert_int_equal(pixels_write(&p, place->path, "tiff", 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'tiff'"));
	assert_true(pixels_write(&p, "/nonexistent/x.png", "png", 0, &e) < 0);
	pixels_fini(&p);
	p = gradient(16384, 1, 3);
	assert_int_equal(pixels_write(&p, place->path, "webp", 0, &e), -EINVAL);
	pixels_fini(&p);
}

/* ---- resizing ---- */

static void test_resize_keeps_the_mean_and_the_ends(void **state)
{
	static const int sizes[][2] = {{100, 50}, {37, 91}, {1, 1}, {200, 200}, {99, 101}, {64, 3}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct pixels in = gradient(100, 100, 3), out;
		pixels_resize(&in, sizes[i][0], sizes[i][1], &out);
		assert_int_equal(out.width, sizes[i][0]);
		assert_int_equal(out.height, sizes[i][1]);
		double mean = 0;
		for (int k = 0; k < out.width * out.height; k++)
			mean += out.data[3 * k];
		mean /= out.width * out.height;
		assert_true(mean > 124 && mean < 129);
		pixels_fini(&out);
		pixels_fini(&in);
	}
}

static void test_resize_exact(void **state)
{
	unsigned char four[] = {0, 100, 200, 40}, two[] = {0, 200};
	struct pixels in = {.width = 4, .height = 1, .channels = 1, .data = four}, out;
	(void)state;
	pixels_resize(&in, 2, 1, &out); /* area average */
	assert_memory_equal(out.data, "\x32\x78", 2);
	pixels_fini(&out);
	pixels_resize(&in, 4, 1, &out); /* the same size is the same picture */
	assert_memory_equal(out.data, four, 4);
	pixels_fini(&out);
	in = (struct pixels){.width = 2, .height = 1, .channels = 1, .data = two};
	pixels_resize(&in, 4, 3, &out); /* bilinear: ends stay */
	assert_memory_equal(out.data + 4, "\x00\x32\x96\xc8", 4);
	pixels_fini(&out);
}

static void test_cut_files_do_not_end_well(void **state)
{
	static const char *const exts[] = {"png", "jpg", "webp"};
	char dir[] = "/tmp/pixels-XXXXXX";
	struct err e = ERR_INIT;
	struct pixels p = {16, 16, 3, xcalloc(3, 256)};
	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(exts); i++) {
		auto_free char *path = fs_join(dir, exts[i]), *data = NULL;
		size_t len;
		assert_int_equal(pixels_write(&p, path, exts[i], 90, &e), 0);
		assert_int_equal(fs_read(path, 1 << 20, &data, &len, &e), 0);
		assert_true(pixels_ends_well(data, len));
		for (size_t n = 32; n < len; n++)
			assert_false(pixels_ends_well(data, n));
	}
	pixels_fini(&p);
	fs_remove_tree(dir, &e);
}

/* What would be handed to another program is looked at first. */
static void test_claims_of_what_others_read(void **state)
{
	static const unsigned char gif[32] = "GIF89a\x80\x3e\x80\x3e";
	static const unsigned char small[32] = "GIF89a\x10\x00\x10\x00";
	unsigned char bmp[32] = "BM";
	struct pixels p;
	struct err e = ERR_INIT;
	(void)state;
	assert_int_equal(pixels_probe(gif, sizeof gif, &p, &e), -EFBIG);
	assert_non_null(strstr(e.text, "16000x16000"));
	assert_int_equal(pixels_probe(small, sizeof small, &p, &e), -ENOTSUP);
	memcpy(bmp + 18, (const unsigned char[]){0x80, 0x3e, 0, 0, 0x80, 0xc1, 0xff, 0xff}, 8);
	assert_int_equal(pixels_probe(bmp, sizeof bmp, &p, &e), -EFBIG);
	memcpy(bmp + 18, (const unsigned char[]){16, 0, 0, 0, 16, 0, 0, 0}, 8);
	assert_int_equal(pixels_probe(bmp, sizeof bmp, &p, &e), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cut_files_do_not_end_well),
	    cmocka_unit_test(test_claims_of_what_others_read),
	    cmocka_unit_test_setup_teardown(test_sniff, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_round_trips, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_alpha_is_laid_over_white, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_grey_becomes_color, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_png_of_every_kind, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_jpeg_in_cmyk, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cut_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_huge_claims, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_not_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_not_written, setup, teardown),
	    cmocka_unit_test(test_resize_keeps_the_mean_and_the_ends),
	    cmocka_unit_test(test_resize_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
