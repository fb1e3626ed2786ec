/* test_pocketsphinx.c - words in, words out: the real espeak-ng speaks, the real ffmpeg converts,
 * the real pocketsphinx listens. SPDX-License-Identifier: MIT */
#include "tests/unit/engine/lab.h"
#include "worker/engine/pocketsphinx/lines.h"

/* A sentence that this voice says and this recogniser hears; most others it does not. */
#define WORDS	    "you are in the world"
#define STT(fields) "{\"kind\":\"audio_stt\",\"inputUrl\":\"https://studio.example/a\"" fields "}"

static char *spoken(struct lab *lab)
{
	char *path = fs_join(lab->dir, "spoken.wav");
	char out[64];
	lab_shell(out, sizeof out, "espeak-ng -v en-us -w %s '" WORDS "'", path);
	return path;
}

/* The recording in another form, without an extension, as inputs come. */
static void converted(struct lab *lab, const char *wav, const char *options, const char *to)
{
	char out[64];
	lab_shell(out, sizeof out, "ffmpeg -v error -y %s -i %s %s %s && cp %s %s/input",
		  strstr(options, "libx264") ? "-f lavfi -i testsrc=d=3:s=64x64" : "", wav, options,
		  to, to, lab->dir);
}

static void hears(struct lab *lab, const char *task)
{
	lab_run(lab, "pocketsphinx", task);
	assert_string_equal(json_string_value(json_object_get(lab->json, "text")), WORDS);
	assert_string_equal(json_string_value(json_object_get(lab->json, "language")), "en");
	double seconds = json_number_value(json_object_get(lab->json, "duration"));
	assert_true(seconds > 1 && seconds < 2);
}

static void test_hears(void **state)
{
	struct lab *lab = *state;
	auto_free char *wav = spoken(lab);
	lab->audio = wav;
	hears(lab, STT());
	json_t *segments = json_object_get(lab->json, "segments");
	assert_int_equal(json_array_size(segments), 1);
	json_t *first = json_array_get(segments, 0);
	assert_string_equal(json_string_value(json_object_get(first, "text")), WORDS);
	assert_null(json_object_get(first, "words"));
	double start = json_number_value(json_object_get(first, "start")),
	       end = json_number_value(json_object_get(first, "end"));
	assert_true(start >= 0 && start < end && end < 2);
	assert_true(lab->progress > 0);
	assert_non_null(strstr(lab->last_line, "small English recogniser; install whisper.cpp"));
	assert_int_equal(lab->lines, 1); /* none of its 200 lines of INFO */
}

static void test_words(void **state)
{
	struct lab *lab = *state;
	auto_free char *wav = spoken(lab);
	lab->audio = wav;
	hears(lab, STT(",\"timestamps\":\"word\",\"language\":\"en-GB\",\"vad\":true"));
	json_t *words =
	    json_object_get(json_array_get(json_object_get(lab->json, "segments"), 0), "words");
	static const char *const want[] = {"you", "are", "in", "the", "world"};
	double last = 0;
	assert_int_equal(json_array_size(words), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		json_t *w = json_array_get(words, i);
		double start = json_number_value(json_object_get(w, "start")),
		       end = json_number_value(json_object_get(w, "end"));
		assert_string_equal(json_string_value(json_object_get(w, "word")), want[i]);
		assert_true(last <= start && start < end);
		last = end;
	}
}

static void test_any_sound(void **state)
{
	struct lab *lab = *state;
	auto_free char *wav = spoken(lab), *input = fs_join(lab->dir, "input");
	static const char *const forms[][2] = {
	    {"-ar 44100 -ac 2 -c:a flac", "x.flac"},
	    {"-c:a libmp3lame -b:a 128k", "x.mp3"},
	    {"-c:v libx264 -map 0:v -map 1:a -c:a alac -shortest", "x.mp4"},
	};
	lab->audio = input;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		auto_free char *to = fs_join(lab->dir, forms[i][1]);
		converted(lab, wav, forms[i][0], to);
		lab_run(lab, "pocketsphinx", STT());
		const char *text = json_string_value(json_object_get(lab->json, "text"));
		if (!strstr(text, "in the world"))
			fail_msg("%s: \"%s\"", forms[i][1], text);
	}
}

static void unreadable(struct lab *lab, const char *words)
{
	lab_start(lab, "pocketsphinx", STT());
	lab_wait(lab);
	assert_int_equal(lab->error.code, EINVAL);
	assert_false(lab->retryable);
	if (!strstr(lab->error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", lab->error.text, words);
}

static void test_no_sound(void **state)
{
	struct lab *lab = *state;
	char out[64];
	auto_free char *input = fs_join(lab->dir, "input"), *wav = spoken(lab);
	lab->audio = input;
	lab_shell(out, sizeof out, "echo no sound at all > %s", input);
	unreadable(lab, "no recording that ffmpeg can read");
	lab_shell(out, sizeof out, "ffmpeg -v error -y -f lavfi -i testsrc=d=1:s=64x64 -f mp4 %s",
		  input);
	unreadable(lab, "no sound in the input");
	/* Playlists name other files: this machine's, or addresses inside the owner's network. */
	lab_shell(out, sizeof out, "printf '#EXTM3U\\n#EXTINF:2,\\nfile://%s\\n' > %s", wav, input);
	unreadable(lab, "no recording that ffmpeg can read");
	lab_shell(out, sizeof out, "printf \"ffconcat version 1.0\\nfile 'spoken.wav'\\n\" > %s",
		  input);
	unreadable(lab, "no recording that ffmpeg can read");
	lab_shell(out, sizeof out, "ffmpeg -v error -y -i %s -t 0 -f wav %s", wav, input);
	assert_true(lab_start(lab, "pocketsphinx", STT()));
	lab_wait(lab);
	assert_int_equal(lab->error.code, EINVAL);
}

static void test_silence(void **state)
{
	struct lab *lab = *state;
	char out[64];
	auto_free char *input = fs_join(lab->dir, "input");
	lab->audio = input;
	lab_shell(out, sizeof out, "ffmpeg -v error -y -f lavfi -i anullsrc -t 2 -f wav %s", input);
	lab_run(lab, "pocketsphinx", STT());
	assert_string_equal(json_string_value(json_object_get(lab->json, "text")), "");
	assert_float_equal(json_number_value(json_object_get(lab->json, "duration")), 2, 0.01);
}

static void test_refuses(void **state)
{
	struct lab *lab = *state;
	lab->audio = "/dev/null";
	lab_refused(lab, "pocketsphinx", STT(",\"language\":\"de\""), "English only");
	lab_refused(lab, "pocketsphinx", STT(",\"language\":\"eno\""), "English only");
	lab_refused(lab, "pocketsphinx", "{\"kind\":\"audio_tts\",\"text\":\"x\"}",
		    "does not do audio_tts");
}

static void test_cancel(void **state)
{
	struct lab *lab = *state;
	char out[64];
	auto_free char *wav = spoken(lab), *input = fs_join(lab->dir, "input");
	lab->audio = input;
	lab_shell(out, sizeof out, "ffmpeg -v error -y -stream_loop 200 -i %s -f wav %s", wav,
		  input);
	lab_run_cancelled(lab, "pocketsphinx", STT(), 0);    /* ffmpeg converts */
	lab_run_cancelled(lab, "pocketsphinx", STT(), 1500); /* pocketsphinx listens */
}

/* ---- lines ---- */

static void read_lines(const char *const *lines, const char *text, const char *segments)
{
	struct lines l;
	struct err e = ERR_INIT;
	lines_init(&l, true);
	for (; *lines; lines++)
		lines_add(&l, *lines);
	lines_end(&l);
	json_t *result = transcript_result(&l.out, "en", 9, &e);
	assert_string_equal(json_string_value(json_object_get(result, "text")), text);
	char *got = json_dumps(json_object_get(result, "segments"),
			       JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(4));
	assert_string_equal(got, segments);
	free(got);
	json_decref(result);
	lines_fini(&l);
}

static void test_lines(void **state)
{
	(void)state;
	static const char *const old[] = {"you fall",
					  "<s> 0.000 0.020 1.000100",
					  "you 0.030 0.090 0.021101",
					  "<sil> 0.1 0.2 0.9",
					  "fall(2) 0.300 0.400 0.747790",
					  "</s> 0.850 1.360 1.000000",
					  "world",
					  "world 2.070 2.430 1.000000",
					  "",
					  NULL};
	read_lines(
	    old, "you fall world",
	    "[{\"end\":0.4,\"start\":0.03,\"text\":\"you fall\",\"words\":[{\"end\":0.09,"
	    "\"start\":0.03,\"word\":\"you\"},{\"end\":0.4,\"start\":0.3,\"word\":\"fall\"}]},"
	    "{\"end\":2.43,\"start\":2.07,\"text\":\"world\",\"words\":[{\"end\":2.43,"
	    "\"start\":2.07,\"word\":\"world\"}]}]");
	static const char *const five[] = {
	    "{\"b\":0.180,\"d\":0.900,\"p\":0.980,\"t\":\"go "
	    "forward\",\"w\":[{\"b\":0.180,\"d\":0.020,"
	    "\"p\":1.000,\"t\":\"<s>\"},{\"b\":0.200,\"d\":0.300,\"p\":0.900,\"t\":\"go\"},{\"b\":"
	    "0.500,"
	    "\"d\":0.400,\"p\":0.900,\"t\":\"forward\"}]}",
	    "{\"b\":3.000,\"d\":1.000,\"p\":0.980,\"t\":\"ten\",\"w\":[{\"b\":3.000,\"d\":0.500,"
	    "\"p\":1,"
	    "\"t\":\"ten\"},{\"b\":3.5,\"d\":0.", /* cut */
	    "{\"b\":5.000,\"d\":1.000,\"p\":0.980,\"t\":\"\",\"w\":[]}", "{nonsense", NULL};
	read_lines(
	    five, "go forward ten",
	    "[{\"end\":1.08,\"start\":0.18,\"text\":\"go forward\",\"words\":[{\"end\":0.5,"
	    "\"start\":0.2,\"word\":\"go\"},{\"end\":0.9,\"start\":0.5,\"word\":\"forward\"}]},"
	    "{\"end\":4.0,\"start\":3.0,\"text\":\"ten\",\"words\":[{\"end\":3.5,\"start\":3.0,"
	    "\"word\":\"ten\"}]}]");
}

int main(void)
{
#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
	    IN_LAB(test_hears),	   IN_LAB(test_words),		 IN_LAB(test_any_sound),
	    IN_LAB(test_no_sound), IN_LAB(test_silence),	 IN_LAB(test_refuses),
	    IN_LAB(test_cancel),   cmocka_unit_test(test_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
