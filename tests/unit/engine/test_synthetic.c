/* test_synthetic.c - the synthetic engine, every kind, through the seam: files are decoded again by
 * the codecs' own readers. SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include "tests/unit/engine/lab.h"

#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

#include "lib/fs/sha256.h"
#include "worker/engine/synthetic/instance.h"

/* ---- images ---- */

static char *slurp(const char *path, size_t *len)
{
	struct err e = ERR_INIT;
	char *data = NULL;
	assert_int_equal(fs_read(path, 100000000, &data, len, &e), 0);
	return data;
}

/* Different grey levels of a decoded picture: more than a flat image has. */
static void check_pixels(const uint8_t *rgb, int w, int h)
{
	bool seen[256] = {false};
	int n = 0;
	for (int i = 0; i < w * h * 3; i++) {
		n += !seen[rgb[i]];
		seen[rgb[i]] = true;
	}
	assert_true(n > 20);
}

static void check_webp(const char *path, int w, int h)
{
	size_t len;
	int got_w, got_h;
	auto_free char *data = slurp(path, &len);
	uint8_t *rgb = WebPDecodeRGB((uint8_t *)data, len, &got_w, &got_h);
	assert_non_null(rgb);
	assert_true(got_w == w && got_h == h);
	check_pixels(rgb, w, h);
	WebPFree(rgb);
}

static void check_png(const char *path, int w, int h)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	assert_true(png_image_begin_read_from_file(&image, path));
	assert_true((int)image.width == w && (int)image.height == h);
	image.format = PNG_FORMAT_RGB;
	auto_free uint8_t *rgb = xmalloc(PNG_IMAGE_SIZE(image));
	assert_true(png_image_finish_read(&image, NULL, rgb, 0, NULL));
	check_pixels(rgb, w, h);
}

static void check_jpeg(const char *path, int w, int h)
{
	struct jpeg_decompress_struct j;
	struct jpeg_error_mgr errors;
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	j.err = jpeg_std_error(&errors);
	jpeg_create_decompress(&j);
	jpeg_stdio_src(&j, f);
	jpeg_read_header(&j, TRUE);
	jpeg_start_decompress(&j);
	assert_true((int)j.output_width == w && (int)j.output_height == h &&
		    j.output_components == 3);
	auto_free uint8_t *rgb = xmalloc((size_t)w * (size_t)h * 3);
	while (j.output_scanline < j.output_height) {
		JSAMPROW row = rgb + (size_t)j.output_scanline * (size_t)w * 3;
		jpeg_read_scanlines(&j, &row, 1);
	}
	check_pixels(rgb, w, h);
	jpeg_finish_decompress(&j);
	assert_int_equal(errors.num_warnings, 0);
	jpeg_destroy_decompress(&j);
	fclose(f);
}

#define IMAGE(fields) "{\"kind\":\"image\",\"prompt\":\"a red fox\"" fields "}"

static void test_image_formats(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic", IMAGE());
	assert_string_equal(lab->ext, "webp");
	check_webp(lab->file, 512, 512);
	lab_run(lab, "synthetic", IMAGE(",\"ext\":\"png\",\"width\":321,\"height\":77"));
	check_png(lab->file, 321, 77);
	lab_run(lab, "synthetic", IMAGE(",\"ext\":\"jpg\",\"width\":64,\"height\":300"));
	check_jpeg(lab->file, 64, 300);
	lab_run(lab, "synthetic", IMAGE(",\"ext\":\"jpeg\",\"width\":1,\"height\":1"));
	assert_string_equal(lab->ext, "jpeg");
}

static void run_digest(struct lab *lab, const char *task, char hex[SHA256_HEX_LEN])
{
	struct err e = ERR_INIT;
	lab_run(lab, "synthetic", task);
	assert_int_equal(sha256_file(lab->file, hex, &e), 0);
}

static void test_image_is_deterministic(void **state)
{
	struct lab *lab = *state;
	char a[SHA256_HEX_LEN], b[SHA256_HEX_LEN];
	run_digest(lab, IMAGE(",\"width\":128,\"height\":128"), a);
	run_digest(lab, IMAGE(",\"width\":128,\"height\":128"), b);
	assert_string_equal(a, b);
	run_digest(lab, IMAGE(",\"width\":128,\"height\":128,\"seed\":18446744073709551615"), b);
	assert_string_not_equal(a, b);
}

static void test_image_refuses(void **state)
{
	struct lab *lab = *state;
	lab_refused(lab, "synthetic", IMAGE(",\"width\":0"), "1 to 8192 pixels");
	lab_refused(lab, "synthetic", IMAGE(",\"width\":8193"), "1 to 8192 pixels");
	lab_refused(lab, "synthetic", IMAGE(",\"height\":4000000000"), "out of range");
	lab_refused(lab, "synthetic", IMAGE(",\"width\":8192,\"height\":8192"), "64 megapixels");
	lab_refused(lab, "synthetic", IMAGE(",\"ext\":\"exe\""), "webp, png or jpg");
}

static void test_image_cancel(void **state)
{
	struct lab *lab = *state;
	lab_run_cancelled(lab, "synthetic", IMAGE(",\"width\":8000,\"height\":8000"), 300);
	lab_run_cancelled(lab, "synthetic", IMAGE(",\"width\":8000,\"height\":8000"), 0);
}

/* ---- video ---- */

static void check_video(struct lab *lab, const char *want)
{
	char out[256];
	lab_shell(
	    out, sizeof out,
	    "ffprobe -v error -select_streams v -count_frames -show_entries "
	    "stream=codec_name,width,height,pix_fmt,r_frame_rate,nb_read_frames -of csv=p=0 %s",
	    lab->file);
	assert_string_equal(out, want);
}

static void test_video(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic",
		"{\"kind\":\"video\",\"prompt\":\"waves\",\"seconds\":1.5,\"fps\":10,\"width\":160,"
		"\"height\":90}");
	assert_string_equal(lab->ext, "mp4");
	check_video(lab, "h264,160,90,yuv420p,10/1,15\n");
	assert_true(lab->progress > 0);
	lab_run(lab, "synthetic",
		"{\"kind\":\"video\",\"prompt\":\"waves\",\"seconds\":0.5,\"width\":65,\"height\":"
		"33,\"ext\":\"webm\"}");
	check_video(lab, "vp9,65,33,yuv420p,24/1,12\n");
	lab_run(lab, "synthetic",
		"{\"kind\":\"video\",\"prompt\":\"waves\",\"seconds\":0.5,\"fps\":8,\"width\":65,"
		"\"height\":33,\"ext\":\"gif\"}");
	check_video(lab, "gif,65,33,bgra,8/1,4\n");
	lab_run(lab, "synthetic",
		"{\"kind\":\"video\",\"prompt\":\"waves\",\"seconds\":0.5,\"fps\":8,\"width\":65,"
		"\"height\":33,\"ext\":\"webp\"}");
	assert_int_equal(access(lab->file, R_OK), 0);
}

#define LONG_VIDEO                                                                                 \
	"{\"kind\":\"video\",\"prompt\":\"waves\",\"seconds\":60,\"width\":640,\"height\":640}"

static void test_video_cancel(void **state)
{
	struct lab *lab = *state;
	lab_run_cancelled(lab, "synthetic", LONG_VIDEO, 800);
	lab_run_cancelled(lab, "synthetic", LONG_VIDEO, 0);
}

static void test_video_refuses(void **state)
{
	struct lab *lab = *state;
	lab_refused(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\",\"ext\":\"avi\"}",
		    "mp4, webm");
	lab_refused(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\",\"seconds\":0}",
		    "out of range");
	lab_refused(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\",\"seconds\":1e6}",
		    "out of range");
	lab_refused(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\",\"fps\":500}",
		    "frames a second");
	lab_refused(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\",\"width\":5000}",
		    "4096 pixels");
}

/* An ffmpeg that fails says why, in the error and in the log. */
static void test_video_ffmpeg_fails(void **state)
{
	struct lab *lab = *state;
	auto_free char *tool = fs_join(lab->dir, "ffmpeg");
	FILE *f = fopen(tool, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\necho no encoder here >&2\nexit 3\n", f);
	fchmod(fileno(f), 0700);
	fclose(f);
	setenv("STUDIO_WORKER_FFMPEG", tool, 1);
	engines_free(lab->engines);
	lab->engines = engines_new(&lab->env);
	unsetenv("STUDIO_WORKER_FFMPEG");
	assert_true(lab_start(lab, "synthetic", "{\"kind\":\"video\",\"prompt\":\"x\"}"));
	lab_wait(lab);
	assert_string_equal(lab->error.text, "ffmpeg failed with exit code 3: no encoder here");
	assert_true(lab->retryable);
	assert_string_equal(lab->last_line, "ffmpeg: no encoder here");
}

/* ---- sound ---- */

static void test_melody(void **state)
{
	struct lab *lab = *state;
	char out[256], a[SHA256_HEX_LEN], b[SHA256_HEX_LEN];
	run_digest(lab, "{\"kind\":\"audio_tts\",\"text\":\"Hello, quiet harbour. Good night!\"}",
		   a);
	lab_shell(
	    out, sizeof out,
	    "ffprobe -v error -show_entries stream=codec_name,sample_rate,channels -of csv=p=0 %s",
	    lab->file);
	assert_string_equal(out, "pcm_s16le,22050,1\n");
	assert_string_equal(a, "aeb2f54b52d1025cfde1008f99c493bd12ea910e0ccad98c5552ae6ad030a941");
	run_digest(lab, "{\"kind\":\"audio_tts\",\"text\":\"Hello, quiet harbour. Good day!\"}", b);
	assert_string_not_equal(a, b);
	lab_run(lab, "synthetic", "{\"kind\":\"audio_tts\",\"text\":\"Hello\",\"ext\":\"ogg\"}");
	lab_shell(out, sizeof out,
		  "ffprobe -v error -show_entries stream=codec_name -of csv=p=0 %s", lab->file);
	assert_string_equal(out, "vorbis\n");
	lab_refused(lab, "synthetic", "{\"kind\":\"audio_tts\",\"text\":\"x\",\"ext\":\"mid\"}",
		    "wav, ogg or mp3");
}

/* ---- JSON ---- */

static const char *content(const struct lab *lab)
{
	json_t *choice = json_array_get(json_object_get(lab->json, "choices"), 0);
	return json_string_value(json_object_get(json_object_get(choice, "message"), "content"));
}

static const char *reason(const struct lab *lab)
{
	return json_string_value(json_object_get(
	    json_array_get(json_object_get(lab->json, "choices"), 0), "finish_reason"));
}

static int64_t usage(const struct lab *lab, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(lab->json, "usage"), key));
}

#define ASK(text, fields)                                                                          \
	"{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]" fields "}"

static void test_llm(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic", ASK("Tell me a story", ""));
	assert_string_equal(json_string_value(json_object_get(lab->json, "object")),
			    "chat.completion");
	assert_string_equal(json_string_value(json_object_get(lab->json, "model")), "a-model");
	assert_int_equal(
	    strncmp(json_string_value(json_object_get(lab->json, "id")), "chatcmpl-", 9), 0);
	assert_true(json_integer_value(json_object_get(lab->json, "created")) > 1700000000);
	assert_string_equal(reason(lab), "stop");
	assert_int_equal(usage(lab, "prompt_tokens"), 4);
	assert_int_equal(usage(lab, "total_tokens"), 4 + usage(lab, "completion_tokens"));
	auto_free char *first = xstrdup(content(lab));
	assert_true(strlen(first) > 40);
	lab_run(lab, "synthetic", ASK("Tell me a story", ""));
	assert_string_equal(content(lab), first);
	lab_run(lab, "synthetic", ASK("Tell me another", ""));
	assert_string_not_equal(content(lab), first);
}

static void test_llm_limits(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic", ASK("Tell me a story", ",\"maxTokens\":3"));
	assert_string_equal(reason(lab), "length");
	assert_int_equal(usage(lab, "completion_tokens"), 3);
	lab_run(lab, "synthetic", ASK("Tell me a story", ",\"stop\":[\"zzz\",\".\",\"\"]"));
	assert_null(strchr(content(lab), '.'));
	assert_string_equal(reason(lab), "stop");
}

static void test_llm_schema(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic",
		ASK("x", ",\"jsonSchema\":{\"type\":\"object\",\"required\":[\"name\",\"tags\","
			 "\"age\"],\"properties\":{"
			 "\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":"
			 "3},\"ok\":{\"type\":"
			 "\"boolean\"},\"tags\":{\"type\":\"array\",\"minItems\":2,\"items\":{"
			 "\"enum\":[\"a\"]}}}}"));
	assert_string_equal(content(lab),
			    "{\"name\":\"synthetic\",\"tags\":[\"a\",\"a\"],\"age\":3}");
}

/* A schema that nests or repeats for ever ends in nulls. */
static void test_schema_is_bounded(void **state)
{
	json_t *s = json_object(), *deep = s;
	(void)state;
	for (int i = 0; i < 40; i++) {
		json_t *inner = json_object();
		json_object_set_new(deep, "type", json_string("array"));
		json_object_set_new(deep, "minItems", json_integer(1000000000));
		json_object_set_new(deep, "items", inner);
		deep = inner;
	}
	json_t *v = instance_of(s);
	assert_true(json_is_array(v));
	json_decref(v);
	json_decref(s);
}

static void test_stt(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "synthetic",
		"{\"kind\":\"audio_stt\",\"inputUrl\":\"https://x.example/"
		"a.wav\",\"language\":\"de\",\"timestamps\":\"word\"}");
	assert_string_equal(json_string_value(json_object_get(lab->json, "language")), "de");
	double duration = json_number_value(json_object_get(lab->json, "duration"));
	assert_true(duration > 1);
	json_t *segments = json_object_get(lab->json, "segments"),
	       *last = json_array_get(segments, json_array_size(segments) - 1);
	assert_true(json_number_value(json_object_get(last, "end")) == duration);
	assert_true(json_array_size(json_object_get(last, "words")) > 3);
	auto_free char *text = xstrdup(json_string_value(json_object_get(lab->json, "text")));
	lab_run(lab, "synthetic",
		"{\"kind\":\"audio_stt\",\"inputUrl\":\"https://x.example/"
		"b.wav\",\"language\":\"de\"}");
	assert_string_not_equal(text, json_string_value(json_object_get(lab->json, "text")));
}

static void test_llm_cancel(void **state)
{
	struct lab *lab = *state;
	assert_true(lab_start(lab, "synthetic", ASK("x", "")));
	lab_cancel(lab);
	lab_wait(lab);
	assert_int_equal(lab->error.code, ECANCELED);
}

int main(void)
{
#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
	    IN_LAB(test_image_formats),
	    IN_LAB(test_image_is_deterministic),
	    IN_LAB(test_image_refuses),
	    IN_LAB(test_image_cancel),
	    IN_LAB(test_video),
	    IN_LAB(test_video_cancel),
	    IN_LAB(test_video_refuses),
	    IN_LAB(test_video_ffmpeg_fails),
	    IN_LAB(test_melody),
	    IN_LAB(test_llm),
	    IN_LAB(test_llm_limits),
	    IN_LAB(test_llm_schema),
	    IN_LAB(test_stt),
	    IN_LAB(test_llm_cancel),
	    cmocka_unit_test(test_schema_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
