/* test_espeak.c - real speech from the real espeak-ng: WAV, OGG, MP3, voices, and what must never
 * become an option. SPDX-License-Identifier: MIT */
#include "tests/unit/engine/lab.h"
#include "worker/engine/espeak-ng/speech.h"

#define SPEAK(fields)                                                                              \
	"{\"kind\":\"audio_tts\",\"text\":\"The harbour lights are burning tonight.\"" fields "}"

static double wav_seconds(const char *path)
{
	struct err e = ERR_INIT;
	auto_free char *data = NULL;
	size_t len;
	uint32_t rate, bytes;
	assert_int_equal(fs_read(path, 10000000, &data, &len, &e), 0);
	assert_true(len > 44);
	assert_memory_equal(data, "RIFF", 4);
	assert_memory_equal(data + 8, "WAVEfmt ", 8);
	assert_memory_equal(data + 36, "data", 4);
	memcpy(&rate, data + 24, 4);
	memcpy(&bytes, data + 40, 4);
	assert_int_equal(rate, 22050);
	assert_int_equal(bytes, len - 44);
	int loud = 0;
	for (size_t i = 44; i + 1 < len; i += 2) {
		int16_t v;
		memcpy(&v, data + i, 2);
		loud += v > 2000 || v < -2000;
	}
	assert_true(loud > 1000);
	return bytes / 2.0 / rate;
}

static void test_speaks(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "espeak-ng", SPEAK());
	assert_string_equal(lab->ext, "wav");
	double normal = wav_seconds(lab->file);
	assert_true(normal > 1.0 && normal < 6.0);
	assert_true(lab->progress > 0);
	lab_run(lab, "espeak-ng", SPEAK(",\"speed\":2.0"));
	assert_true(wav_seconds(lab->file) < normal * 0.75);
	lab_run(lab, "espeak-ng", SPEAK(",\"voice\":\"de\""));
	wav_seconds(lab->file);
}

static void test_formats(void **state)
{
	struct lab *lab = *state;
	char out[256];
	lab_run(lab, "espeak-ng", SPEAK(",\"ext\":\"ogg\""));
	lab_shell(out, sizeof out,
		  "ffprobe -v error -show_entries stream=codec_name -of csv=p=0 %s", lab->file);
	assert_string_equal(out, "vorbis\n");
	lab_run(lab, "espeak-ng", SPEAK(",\"ext\":\"mp3\",\"language\":\"en-gb\""));
	lab_shell(out, sizeof out,
		  "ffprobe -v error -show_entries stream=codec_name -of csv=p=0 %s", lab->file);
	assert_string_equal(out, "mp3\n");
}

static void test_refuses(void **state)
{
	struct lab *lab = *state;
	lab_refused(lab, "espeak-ng", SPEAK(",\"voice\":\"-x\""), "can't be the name of a voice");
	lab_refused(lab, "espeak-ng", SPEAK(",\"voice\":\"../../etc/passwd\""),
		    "can't be the name of a voice");
	lab_refused(lab, "espeak-ng", SPEAK(",\"voice\":\"en -w /tmp/x\""),
		    "can't be the name of a voice");
	lab_refused(lab, "espeak-ng", SPEAK(",\"language\":\"--path=/tmp\""),
		    "can't be the name of a voice");
	lab_refused(lab, "espeak-ng", SPEAK(",\"ext\":\"flac\""), "wav, ogg or mp3");
	lab_refused(lab, "espeak-ng", "{\"kind\":\"audio_tts\",\"text\":\" \\n \"}", "empty");
	lab_refused(lab, "espeak-ng", "{\"kind\":\"image\",\"prompt\":\"x\"}", "does not do image");
}

static void test_unknown_voice(void **state)
{
	struct lab *lab = *state;
	assert_true(lab_start(lab, "espeak-ng", SPEAK(",\"voice\":\"klingonese\"")));
	lab_wait(lab);
	assert_non_null(strstr(lab->error.text, "no voice 'klingonese'"));
	assert_false(lab->retryable);
	assert_true(lab->lines > 0); /* its own words are in the job's log */
}

/* Text that looks like options, markup or phonemes is text. */
static void test_hostile_text(void **state)
{
	struct lab *lab = *state;
	lab_run(
	    lab, "espeak-ng",
	    "{\"kind\":\"audio_tts\",\"text\":\"-w /tmp/evil --help $(reboot) <speak> word [[\"}");
	wav_seconds(lab->file);
}

static void test_cancel(void **state)
{
	struct lab *lab = *state;
	struct buf b;
	buf_init(&b, 200000);
	assert_true(buf_printf(&b, "{\"kind\":\"audio_tts\",\"text\":\""));
	for (int i = 0; i < 9000; i++)
		assert_true(buf_printf(&b, "and so on "));
	assert_true(buf_printf(&b, "\"}"));
	lab_run_cancelled(lab, "espeak-ng", b.data, 20);
	buf_fini(&b);
}

static void plan(struct speech *s, double speed, const char *voice, const char *language)
{
	struct task_tts t = {.text = "hello",
			     .voice = (char *)(uintptr_t)voice,
			     .language = (char *)(uintptr_t)language,
			     .ext = "wav"};
	struct err e = ERR_INIT;
	json_t *defaults = json_pack("{s:s}", "voice", "fr");
	t.speed = speed;
	t.has_speed = speed > 0;
	assert_int_equal(speech_plan(s, &t, defaults, &e), 0);
	json_decref(defaults);
}

static void test_plan(void **state)
{
	struct speech s;
	(void)state;
	plan(&s, 0, "default", NULL);
	assert_int_equal(s.wpm, 175);
	assert_string_equal(s.voice, "fr");
	plan(&s, 100, "default", "de");
	assert_int_equal(s.wpm, 450);
	assert_string_equal(s.voice, "de");
	plan(&s, 0.01, "en+f3", "de");
	assert_int_equal(s.wpm, 80);
	assert_string_equal(s.voice, "en+f3");
}

int main(void)
{
#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
	    IN_LAB(test_speaks),	 IN_LAB(test_formats),	    IN_LAB(test_refuses),
	    IN_LAB(test_unknown_voice),	 IN_LAB(test_hostile_text), IN_LAB(test_cancel),
	    cmocka_unit_test(test_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
