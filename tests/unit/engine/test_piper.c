/* test_piper.c - engine `piper`, with a fake program in the place of piper: what it is asked, what
 * comes of its WAV, what is refused. SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include "tests/unit/engine/lab.h"
#include "worker/engine/piper/voice.h"

#define SPEAK(fields) "{\"kind\":\"audio_tts\",\"text\":\"one two three four\"" fields "}"
#define FILES                                                                                      \
	"[{\"role\":\"model\",\"url\":\"https://h/a\",\"filename\":\"en_US-x-low.onnx\"},"         \
	"{\"role\":\"model\",\"url\":\"https://h/b\",\"filename\":\"en_US-x-low.onnx.json\"}]"
#define DESCRIPTION                                                                                \
	"{\"audio\":{\"sample_rate\":16000},\"inference\":{\"length_scale\":1.0},\"num_"           \
	"speakers\":3,"                                                                            \
	"\"speaker_id_map\":{\"anna\":0,\"ben\":2},\"language\":{\"code\":\"en_US\"}}"

static char *fake(void)
{
	static const char here[] = __FILE__;
	const char *tests = strstr(here, "unit/engine/");
	assert_non_null(tests);
	return xasprintf("%.*sfake/engines/fake_piper.py", (int)(tests - here), here);
}

static void put(const char *path, const char *text)
{
	struct err e = ERR_INIT;
	if (fs_write_atomic(path, text, strlen(text), 0600, &e) < 0)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	auto_free char *program = fake();
	setenv("STUDIO_WORKER_PIPER", program, 1);
	if (lab_setup(state) < 0)
		return -1;
	struct lab *lab = *state;
	static const char *paths[2];
	static char onnx[128], json[136], folder[96];
	struct err e = ERR_INIT;
	snprintf(folder, sizeof folder, "%s/faults", lab->dir);
	snprintf(onnx, sizeof onnx, "%s/en_US-x-low.onnx", lab->dir);
	snprintf(json, sizeof json, "%s.json", onnx);
	assert_int_equal(fs_mkdir(folder, 0700, &e), 0);
	setenv("FAKE_ENGINE_DIR", folder, 1);
	put(onnx, "onnx");
	put(json, DESCRIPTION);
	paths[0] = onnx;
	paths[1] = json;
	lab->model_files = FILES;
	lab->paths = paths;
	return 0;
}

static void fault(struct lab *lab, const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/faults/%s", lab->dir, name);
	put(path, text);
}

static double seconds(const char *path)
{
	struct err e = ERR_INIT;
	uint64_t size;
	assert_int_equal(fs_size(path, &size, &e), 0);
	return (double)(size - 44) / 32000;
}

static void asked(struct lab *lab, const char *words, bool there)
{
	auto_free char *path = fs_join(lab->dir, "faults/diary"), *text = NULL;
	struct err e = ERR_INIT;
	size_t len;
	assert_int_equal(fs_read(path, 1 << 20, &text, &len, &e), 0);
	if (!!strstr(text, words) != there)
		fail_msg("\"%s\" in: %s", words, text);
	unlink(path);
}

static void test_speaks(void **state)
{
	struct lab *lab = *state;
	lab_run(lab, "piper", SPEAK());
	assert_string_equal(lab->ext, "wav");
	assert_float_equal(seconds(lab->file), 1.2, 0.01);
	asked(lab, "--speaker", false);
	lab_run(lab, "piper", SPEAK(",\"speed\":2.0,\"voice\":\"ben\",\"language\":\"en-GB\""));
	assert_float_equal(seconds(lab->file), 0.6, 0.01);
	asked(lab, "--speaker 2 --length_scale 0.5000", true);
	lab_run(lab, "piper", SPEAK(",\"voice\":\"1\""));
	asked(lab, "--speaker 1", true);
	lab_run(lab, "piper", SPEAK(",\"voice\":\"en_US-x-low\",\"ext\":\"ogg\""));
	asked(lab, "--speaker", false);
	char out[64];
	lab_shell(out, sizeof out,
		  "ffprobe -v error -show_entries stream=codec_name -of csv=p=0 %s", lab->file);
	assert_string_equal(out, "vorbis\n");
}

/* The store may have found the two files in different folders. */
static void test_pair(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	auto_free char *folder = fs_join(lab->dir, "top"),
		       *json = fs_join(folder, "en_US-x-low.onnx.json");
	assert_int_equal(fs_mkdir(folder, 0700, &e), 0);
	assert_int_equal(rename(lab->paths[1], json), 0);
	const char *paths[] = {lab->paths[0], json};
	lab->paths = paths;
	lab_run(lab, "piper", SPEAK());
	assert_float_equal(seconds(lab->file), 1.2, 0.01);
}

static void test_refuses(void **state)
{
	struct lab *lab = *state;
	lab_refused(lab, "piper", SPEAK(",\"voice\":\"carl\""), "has no speaker 'carl'; it has 3");
	lab_refused(lab, "piper", SPEAK(",\"voice\":\"3\""), "has no speaker '3'");
	lab_refused(lab, "piper", SPEAK(",\"voice\":\"--help\""), "has no speaker '--help'");
	lab_refused(lab, "piper", SPEAK(",\"language\":\"de\""), "speaks en_US, not 'de'");
	lab_refused(lab, "piper", SPEAK(",\"ext\":\"flac\""), "wav, ogg or mp3");
	lab_refused(lab, "piper", "{\"kind\":\"audio_tts\",\"text\":\" \"}", "empty");
	put(lab->paths[1], "{\"audio\":{\"sample_rate\":0}}");
	lab_refused(lab, "piper", SPEAK(), "does not describe a piper voice");
	put(lab->paths[1], "[");
	lab_refused(lab, "piper", SPEAK(), "JSON");
	lab->model_files = "[{\"role\":\"model\",\"url\":\"https://h/a\",\"filename\":\"a.onnx\"}]";
	lab_refused(lab, "piper", SPEAK(), "no file .onnx.json");
	lab->model_files =
	    "[{\"role\":\"model\",\"url\":\"https://h/a\",\"filename\":\"a.onnx\"},{\"role\":"
	    "\"model\",\"url\":\"https://h/a\",\"filename\":\"b.onnx.json\"}]";
	lab_refused(lab, "piper", SPEAK(), "does not describe");
	lab->model_files = "[{\"role\":\"vae\",\"url\":\"https://h/a\",\"filename\":\"a.onnx\"}]";
	lab_refused(lab, "piper", SPEAK(), "not 'vae'");
	lab->model_files = NULL;
	lab_refused(lab, "piper", SPEAK(), "no file .onnx ");
}

static void fails(struct lab *lab, const char *words)
{
	assert_true(lab_start(lab, "piper", SPEAK()));
	lab_wait(lab);
	assert_true(lab->retryable);
	if (!strstr(lab->error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", lab->error.text, words);
}

static void test_faults(void **state)
{
	struct lab *lab = *state;
	fault(lab, "exit1", "1");
	fails(lab, "exit code 1: piper: fault: ends at start with 1");
	fault(lab, "exit0", "1");
	fails(lab, "piper wrote no file");
	fault(lab, "die", "1");
	fails(lab, "ended by signal 11");
	fault(lab, "garbage", "1");
	fails(lab, "not a WAV file");
	put(lab->paths[0], "");
	fails(lab, "error: Unable to load");
	fault(lab, "python", "");
	fails(lab, "exit code 1: ValueError: Unable to load"); /* of a traceback, the last line */
	put(lab->paths[0], "onnx");
	lab_run(lab, "piper", SPEAK());
}

static void test_cancel(void **state)
{
	struct lab *lab = *state;
	fault(lab, "hang", "");
	lab_run_cancelled(lab, "piper", SPEAK(), 300);
	fault(lab, "ignore_term", "");
	lab_run_cancelled(lab, "piper", SPEAK(), 300);
}

/* Debian's package of that name is about gaming mice. */
static void test_other_piper(void **state)
{
	struct lab *lab = *state;
	auto_free char *path = fs_join(lab->dir, "piper");
	put(path, "#!/usr/bin/python3\nimport gi\ngi.require_version('Gtk', '3.0')\n");
	assert_int_equal(chmod(path, 0755), 0);
	setenv("STUDIO_WORKER_PIPER", path, 1);
	engines_free(lab->engines);
	lab->engines = engines_new(&lab->env);
	lab_refused(lab, "piper", SPEAK(), "gaming mice");
	struct capabilities *c = capabilities_new();
	engines_advertise(lab->engines, c);
	assert_false(string_set_has(&c->models, "piper:*"));
	capabilities_free(c);
}

int main(void)
{
#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, setup, lab_teardown)
	const struct CMUnitTest tests[] = {
	    IN_LAB(test_speaks), IN_LAB(test_pair),   IN_LAB(test_refuses),
	    IN_LAB(test_faults), IN_LAB(test_cancel), IN_LAB(test_other_piper),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
