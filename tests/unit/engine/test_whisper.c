/* test_whisper.c - engine `whisper-cpp` with a fake whisper-server, kept warm by the real host:
 * what it is asked, what comes of its answers, faults, cancellation. SPDX-License-Identifier: MIT
 */
#include <signal.h>

#include "lib/net/net.h"
#include "tests/unit/engine/lab.h"
#include "worker/device/device.h"
#include "worker/host/host.h"

#define STT(fields) "{\"kind\":\"audio_stt\",\"inputUrl\":\"https://studio.example/a\"" fields "}"
#define MODEL(name) "{\"role\":\"model\",\"url\":\"https://h/x\",\"filename\":\"" name "\"}"

struct bench {
	struct lab *lab;
	struct log quiet; /* the host's lines are about no job */
	struct transport *net;
	struct device *device;
	char *faults, *state, *audio;
	const char *paths[3];
	char *files[2];
};

static struct bench bench;

static char *fake(void)
{
	static const char here[] = __FILE__;
	const char *tests = strstr(here, "unit/engine/");
	assert_non_null(tests);
	return xasprintf("%.*sfake/engines/fake_whisper_server.py", (int)(tests - here), here);
}

static void put(const char *folder, const char *name, const char *text)
{
	struct err e = ERR_INIT;
	auto_free char *path = fs_join(folder, name);
	if (fs_write_atomic(path, text, strlen(text), 0600, &e) < 0)
		fail_msg("%s", e.text);
}

static void fault(const char *name, const char *text)
{
	put(bench.faults, name, text);
}

static void mend(const char *name)
{
	auto_free char *path = fs_join(bench.faults, name);
	unlink(path);
}

static char *diary(void)
{
	auto_free char *path = fs_join(bench.faults, "diary");
	char *text = NULL;
	size_t len;
	struct err e = ERR_INIT;
	assert_int_equal(fs_read(path, 1 << 20, &text, &len, &e), 0);
	return text;
}

static unsigned count(const char *words)
{
	auto_free char *text = diary();
	unsigned n = 0;
	for (const char *at = text; (at = strstr(at, words)); at++)
		n++;
	return n;
}

/* The head of a model as whisper's: magic, vocabulary, audio context. */
static void put_model(const char *folder, const char *name, uint32_t vocab)
{
	auto_free char *path = fs_join(folder, name);
	const uint32_t head[] = {0x67676d6c, vocab, 1500};
	struct err e = ERR_INIT;
	assert_int_equal(fs_write_atomic(path, head, sizeof head, 0600, &e), 0);
}

static void use_model(struct lab *lab, const char *json, const char *name, const char *second)
{
	lab->model_files = json;
	lab->paths = bench.paths;
	put_model(lab->dir, name, 51865);
	free(bench.files[0]);
	free(bench.files[1]);
	bench.paths[0] = bench.files[0] = fs_join(lab->dir, name);
	bench.paths[1] = bench.files[1] = second ? fs_join(lab->dir, second) : NULL;
	if (second)
		put(lab->dir, second, "vad");
}

/* deadlines: how many times longer they are. */
static void open_bench(struct lab *lab, double deadlines)
{
	struct err e = ERR_INIT;
	char out[64];
	bench = (struct bench){.lab = lab};
	bench.faults = fs_join(lab->dir, "faults");
	bench.state = fs_join(lab->dir, "state");
	bench.audio = fs_join(lab->dir, "recording");
	assert_int_equal(fs_mkdir(bench.faults, 0700, &e) + fs_mkdir(bench.state, 0700, &e), 0);
	setenv("FAKE_ENGINE_DIR", bench.faults, 1);
	log_init(&bench.quiet, &lab->loop.clock);
	bench.net = net_new(&lab->loop, &bench.quiet, "test", &e);
	bench.device = device_new_fixed(0, PRESENCE_IDLE);
	lab->env.net = bench.net;
	lab->env.host = host_new(&(struct host_deps){.loop = &lab->loop,
						     .log = &bench.quiet,
						     .net = bench.net,
						     .device = bench.device,
						     .state_dir = bench.state,
						     .deadline_scale = deadlines});
	host_configure(lab->env.host, &(struct host_limits){.idle_ms = 600000});
	engines_free(lab->engines);
	lab->engines = engines_new(&lab->env);
	use_model(lab, "[" MODEL("tiny.bin") "]", "tiny.bin", NULL);
	lab_shell(out, sizeof out,
		  "ffmpeg -v error -f lavfi -i sine=d=2.5 -ar 44100 -ac 2 -f flac %s", bench.audio);
	lab->audio = bench.audio;
}

static int setup_scaled(void **state, double deadlines)
{
	auto_free char *program = fake();
	setenv("STUDIO_WORKER_WHISPER_SERVER", program, 1);
	if (lab_setup(state) < 0)
		return -1;
	open_bench(*state, deadlines);
	return bench.net ? 0 : -1;
}

static int setup(void **state)
{
	return setup_scaled(state, 1);
}

static int setup_hasty(void **state)
{
	return setup_scaled(state, 0.05);
}

static int teardown(void **state)
{
	struct lab *lab = *state;
	host_free(lab->env.host);
	net_free(bench.net);
	device_free(bench.device);
	free(bench.faults);
	free(bench.state);
	free(bench.audio);
	free(bench.files[0]);
	free(bench.files[1]);
	return lab_teardown(state);
}

static const char *text_of(struct lab *lab)
{
	return json_string_value(json_object_get(lab->json, "text"));
}

static void hears(struct lab *lab, const char *task, const char *text)
{
	lab_run(lab, "whisper-cpp", task);
	assert_string_equal(text_of(lab), text);
	assert_float_equal(json_number_value(json_object_get(lab->json, "duration")), 2.5, 0.01);
}

static void asked(const char *words)
{
	auto_free char *text = diary();
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in: %s", words, text);
}

static void test_hears(void **state)
{
	struct lab *lab = *state;
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	assert_string_equal(json_string_value(json_object_get(lab->json, "language")), "en");
	asked("\"language\": \"auto\"");
	asked("\"token_timestamps\": \"false\"");
	assert_true(lab->progress >= 10);
	assert_float_equal(lab->fraction, 1, 0);
	hears(lab, STT(",\"language\":\"German\",\"translate\":true,\"prompt\":\"a \\\"hint\\\"\""),
	      "tiny heard 2.5 seconds in de translated after a \"hint\"");
	assert_string_equal(json_string_value(json_object_get(lab->json, "language")), "de");
	assert_int_equal(count("start "), 1); /* it stayed warm */
}

static void test_words(void **state)
{
	struct lab *lab = *state;
	fault("transcript", "Extraordinary, she said and then went on for more than sixty bytes.");
	hears(lab, STT(",\"timestamps\":\"word\""),
	      "Extraordinary, she said and then went on for more than sixty bytes.");
	json_t *segments = json_object_get(lab->json, "segments");
	assert_int_equal(json_array_size(segments), 1); /* not wrapped */
	json_t *words = json_object_get(json_array_get(segments, 0), "words");
	assert_int_equal(json_array_size(words), 12);
	assert_string_equal(json_string_value(json_object_get(json_array_get(words, 0), "word")),
			    "Extraordinary,");
	hears(lab, STT(",\"timestamps\":\"segment\""),
	      "Extraordinary, she said and then went on for more than sixty bytes.");
	segments = json_object_get(lab->json, "segments");
	assert_null(json_object_get(json_array_get(segments, 0), "words"));
}

static void test_vad(void **state)
{
	struct lab *lab = *state;
	lab_refused(lab, "whisper-cpp", STT(",\"vad\":true"), "needs a model of its own");
	use_model(lab, "[" MODEL("tiny.bin") "," MODEL("silero.bin") "]", "tiny.bin", "silero.bin");
	hears(lab, STT(",\"vad\":true"), "tiny heard 2.5 seconds in en with vad");
	hears(lab, STT(",\"vad\":false"), "tiny heard 2.5 seconds in en");
	assert_int_equal(count("start "), 1);
}

static void test_model_head(void **state)
{
	struct lab *lab = *state;
	/* The vocabulary tells, whatever the name says. */
	put_model(lab->dir, "tiny.bin", 51864);
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	lab_refused(lab, "whisper-cpp", STT(",\"language\":\"fr\""), "English only, not 'fr'");
	put_model(lab->dir, "tiny.bin", 51865);
	lab_refused(lab, "whisper-cpp", STT(",\"language\":\"yue\""), "does not know Cantonese");
	put_model(lab->dir, "tiny.bin", 51866);
	hears(lab, STT(",\"language\":\"yue\""), "tiny heard 2.5 seconds in yue");
	put_model(lab->dir, "tiny.bin", 8198); /* a parakeet's */
	lab_refused(lab, "whisper-cpp", STT(), "no whisper model");
	put(lab->dir, "tiny.bin", "GGUF, of another program");
	lab_refused(lab, "whisper-cpp", STT(), "is no model of whisper.cpp");
}

static void test_no_recording(void **state)
{
	struct lab *lab = *state;
	char out[64];
	lab_shell(out, sizeof out, "echo no sound > %s", bench.audio);
	assert_true(lab_start(lab, "whisper-cpp", STT()));
	lab_wait(lab);
	assert_int_equal(lab->error.code, EINVAL);
	assert_false(lab->retryable);
	lab_shell(out, sizeof out, "echo nothing > %s/faults/diary", lab->dir);
	assert_int_equal(count("start "), 0); /* no server was started for it */
}

static void fails(struct lab *lab, const char *words)
{
	assert_true(lab_start(lab, "whisper-cpp", STT()));
	lab_wait(lab);
	if (!lab->retryable)
		fail_msg("not retryable: %s", lab->error.text);
	if (!strstr(lab->error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", lab->error.text, words);
}

static void test_faults(void **state)
{
	struct lab *lab = *state;
	static const char *const once[] = {"die", "garbage", "huge", "exit0", "exit1"};
	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		fault(once[i], "1");
		if (once[i][0] == 'e')
			host_unload_idle(lab->env.host);
		hears(lab, STT(), "tiny heard 2.5 seconds in en");
	}
	fault("exit0", "2");
	host_unload_idle(lab->env.host);
	fails(lab, "fault: ends at start with 0");
	fault("die", "2");
	fails(lab, "the engine's own first error line");
	fault("garbage", "2");
	fails(lab, "what is no answer");
	host_unload_idle(lab->env.host);
	fault("broken", "");
	fails(lab, "failed to initialize whisper context");
}

static void test_hangs(void **state)
{
	struct lab *lab = *state;
	fault("hang", "1");
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	assert_int_equal(count("start "), 2);
	fault("hang", "");
	fails(lab, "no sign of life");
}

/* ---- cancellation ---- */

struct moment { /* when the diary has `words` so many times */
	struct timer look;
	const char *words;
	unsigned times;
	uint64_t cancelled_at;
	bool kills; /* the server too */
};

static void kill_server(void)
{
	auto_free char *text = diary();
	const char *last = NULL;
	for (const char *at = text; (at = strstr(at, "start ")); at++)
		last = at;
	assert_non_null(last);
	assert_int_equal(kill(atoi(last + strlen("start ")), SIGKILL), 0);
}

static void look(void *arg)
{
	struct moment *m = arg;
	struct lab *lab = bench.lab;
	if (count(m->words) < m->times) {
		timer_start(&m->look, &lab->loop.clock, 10, look, m);
		return;
	}
	m->cancelled_at = clock_now(&lab->loop.clock);
	lab_cancel(lab);
	if (m->kills)
		kill_server();
}

static void cancelled_at(struct lab *lab, struct moment m)
{
	assert_true(lab_start(lab, "whisper-cpp", STT()));
	timer_start(&m.look, &lab->loop.clock, 0, look, &m);
	lab_wait(lab);
	assert_int_equal(lab->error.code, ECANCELED);
	assert_false(lab->retryable);
	assert_true(clock_now(&lab->loop.clock) - m.cancelled_at < 3000);
}

static void cancelled_when(struct lab *lab, const char *words, unsigned times)
{
	cancelled_at(lab, (struct moment){.words = words, .times = times});
}

static void test_dies_after_cancel(void **state)
{
	struct lab *lab = *state;
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	fault("work_s", "30");
	fault("deaf", "");
	cancelled_at(lab, (struct moment){.words = "request ", .times = 2, .kills = true});
	assert_int_equal(count("start "), 1); /* none was started for a job that nobody wants */
}

static void test_cancel(void **state)
{
	struct lab *lab = *state;
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	lab_run_cancelled(lab, "whisper-cpp", STT(), 0); /* ffmpeg converts */
	fault("work_s", "30");
	cancelled_when(lab, "request ", 2);
	assert_int_equal(count("dropped "), 1);
	mend("work_s");
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	assert_int_equal(count("start "), 1); /* it dropped the job and stayed warm */
	fault("work_s", "30");
	fault("deaf", "");
	cancelled_when(lab, "request ", 4);
	mend("work_s");
	hears(lab, STT(), "tiny heard 2.5 seconds in en");
	assert_int_equal(count("start "), 2); /* it did not, and was killed */
	host_unload_idle(lab->env.host);
	fault("load_s", "20");
	cancelled_when(lab, "start ", 3);
	fault("load_s", "0");
	fault("ignore_term", "");
	fault("work_s", "30");
	cancelled_when(lab, "request ", 6);
}

int main(void)
{
#define WITH(t, s) cmocka_unit_test_setup_teardown(t, s, teardown)
	const struct CMUnitTest tests[] = {
	    WITH(test_hears, setup),
	    WITH(test_words, setup),
	    WITH(test_vad, setup),
	    WITH(test_model_head, setup),
	    WITH(test_no_recording, setup),
	    WITH(test_faults, setup),
	    WITH(test_hangs, setup_hasty),
	    WITH(test_cancel, setup),
	    WITH(test_dies_after_cancel, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
