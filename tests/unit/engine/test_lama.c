/* test_lama.c - what engine onnx makes of picture, mask and model, with a fake of the library.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/onnx/lama.h"

struct lab {
	char dir[64];
	struct ort *ort;
	struct ort_session *session;
};

static int setup(void **state)
{
	struct lab *lab = xcalloc(1, sizeof *lab);
	struct err e = ERR_INIT;
	snprintf(lab->dir, sizeof lab->dir, "/tmp/lama-XXXXXX");
	*state = lab;
	lab->ort = ort_open(FAKE_ONNXRUNTIME, &e);
	return mkdtemp(lab->dir) && lab->ort ? 0 : -1;
}

static int teardown(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	ort_unload(lab->session);
	ort_close(lab->ort);
	fs_remove_tree(lab->dir, &e);
	free(lab);
	return 0;
}

static char *model(const struct lab *lab, const char *text)
{
	char *path = fs_join(lab->dir, "model.onnx");
	struct err e = ERR_INIT;
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, &e), 0);
	return path;
}

static void load(struct lab *lab, const char *text)
{
	struct err e = ERR_INIT;
	auto_free char *path = model(lab, text);
	lab->session = ort_load(lab->ort, path, 1, &e);
	assert_string_equal(e.text, "");
	assert_non_null(lab->session);
}

/* A picture of one colour; with a rectangle of another in it. */
static char *picture(const struct lab *lab, const char *name, int w, int h, int channels,
		     int colour, const struct lama_crop *box, int inside)
{
	struct err e = ERR_INIT;
	struct pixels p = {w, h, channels, xmalloc((size_t)(w * h * channels))};
	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++) {
			bool in = box && x >= box->x && x < box->x + box->width && y >= box->y &&
				  y < box->y + box->height;
			memset(p.data + (size_t)((y * w + x) * channels), in ? inside : colour,
			       (size_t)channels);
		}
	char *path = fs_join(lab->dir, name);
	assert_int_equal(pixels_write(&p, path, "png", 0, &e), 0);
	pixels_fini(&p);
	return path;
}

static void paint(struct lab *lab, int w, int h, const struct lama_crop *marked, struct pixels *out)
{
	struct err e = ERR_INIT;
	auto_free char *image = picture(lab, "image.png", w, h, 3, 64, NULL, 0);
	auto_free char *mask = picture(lab, "mask.png", w, h, 1, 0, marked, 255);
	auto_free char *result = fs_join(lab->dir, "result.png");
	struct lama_job job = {image, mask, result, "png"};
	assert_int_equal(lama_run(lab->session, &job, &e), 0);
	assert_int_equal(pixels_read(result, 3, out, &e), 0);
	assert_int_equal(out->width, w);
	assert_int_equal(out->height, h);
}

/* Only the marked part is white now; for both ranges of a model's output, and a picture that is
 * larger than the model. */
static void check_painting(struct lab *lab, const char *text)
{
	const struct lama_crop marked = {30, 20, 10, 6};
	struct pixels p;
	load(lab, text);
	paint(lab, 100, 60, &marked, &p);
	for (int y = 0; y < p.height; y++)
		for (int x = 0; x < p.width; x++) {
			bool in = x >= 30 && x < 40 && y >= 20 && y < 26;
			int v = p.data[3 * (y * p.width + x)];
			/* The model's own scale blurs what is next to an edge. */
			bool edge = x == 30 || x == 39 || y == 20 || y == 25;
			if (in && !edge)
				assert_in_range(v, 250, 255);
			else if (!in)
				assert_int_equal(v, 64);
		}
	pixels_fini(&p);
}

static void test_paints_only_the_marked_part(void **state)
{
	check_painting(*state, "lama 64 1");
}

static void test_output_of_0_to_255(void **state)
{
	check_painting(*state, "lama 64 255");
}

static void test_side_left_open(void **state)
{
	struct lab *lab = *state;
	load(lab, "lama -1 1");
	assert_int_equal(ort_side(lab->session), 512);
}

static void test_a_mask_of_another_size(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	struct pixels p;
	const struct lama_crop half = {0, 0, 8, 16};
	load(lab, "lama 32 1");
	auto_free char *image = picture(lab, "image.png", 64, 64, 3, 0, NULL, 0);
	auto_free char *mask = picture(lab, "mask.png", 16, 16, 1, 0, &half, 255);
	auto_free char *result = fs_join(lab->dir, "result.png");
	struct lama_job job = {image, mask, result, "png"};
	assert_int_equal(lama_run(lab->session, &job, &e), 0);
	assert_int_equal(pixels_read(result, 3, &p, &e), 0);
	assert_in_range(p.data[3 * (32 * 64 + 8)], 250, 255);
	assert_int_equal(p.data[3 * (32 * 64 + 60)], 0);
	pixels_fini(&p);
}

static void test_an_empty_mask(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	load(lab, "lama 32 1");
	auto_free char *image = picture(lab, "image.png", 64, 64, 3, 0, NULL, 0);
	auto_free char *mask = picture(lab, "mask.png", 64, 64, 1, 0, NULL, 0);
	auto_free char *result = fs_join(lab->dir, "result.png");
	struct lama_job job = {image, mask, result, "png"};
	assert_int_equal(lama_run(lab->session, &job, &e), -EINVAL);
	assert_non_null(strstr(e.text, "white"));
	assert_false(fs_exists(result));
}

static void test_models_that_do_not_fit(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	auto_free char *odd = model(lab, "shape");
	assert_null(ort_load(lab->ort, odd, 1, &e));
	assert_non_null(strstr(e.text, "LaMa"));
	auto_free char *garbage = model(lab, "garbage");
	assert_null(ort_load(lab->ort, garbage, 1, &e));
	assert_non_null(strstr(e.text, "Protobuf parsing failed"));
}

static void test_no_library(void **state)
{
	struct err e = ERR_INIT;
	(void)state;
	assert_null(ort_open("/nonexistent/libonnxruntime.so.1", &e));
	assert_int_equal(e.code, ENOENT);
	assert_null(ort_open("libm.so.6", &e));
	assert_non_null(strstr(e.text, "no ONNX Runtime"));
}

/* What the model sees: at least its own side, twice what is marked, inside the picture. */
static void test_crop(void **state)
{
	static const struct {
		int w, h, side;
		struct lama_crop marked, want;
	} table[] = {
	    {1000, 1000, 512, {500, 500, 10, 10}, {249, 249, 512, 512}},
	    {1000, 1000, 512, {0, 0, 10, 10}, {0, 0, 512, 512}},
	    {1000, 1000, 512, {990, 990, 10, 10}, {488, 488, 512, 512}},
	    {1000, 1000, 512, {100, 100, 400, 100}, {0, 0, 800, 800}},
	    {300, 1000, 512, {100, 500, 10, 10}, {0, 249, 300, 512}},
	    {8, 8, 512, {0, 0, 8, 8}, {0, 0, 8, 8}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int w = table[i].w, h = table[i].h;
		struct lama_crop m = table[i].marked, got;
		struct err e = ERR_INIT;
		struct pixels mask = {w, h, 1, xcalloc((size_t)w, (size_t)h)};
		for (int y = m.y; y < m.y + m.height; y++)
			memset(mask.data + y * w + m.x, 255, (size_t)m.width);
		assert_int_equal(lama_crop(&mask, table[i].side, &got, &e), 0);
		assert_memory_equal(&got, &table[i].want, sizeof got);
		pixels_fini(&mask);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_paints_only_the_marked_part),
	    T(test_output_of_0_to_255),
	    T(test_side_left_open),
	    T(test_a_mask_of_another_size),
	    T(test_an_empty_mask),
	    T(test_models_that_do_not_fit),
	    T(test_no_library),
	    cmocka_unit_test(test_crop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
