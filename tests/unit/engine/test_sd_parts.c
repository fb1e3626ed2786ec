/* test_sd_parts.c - the pure parts of engine `sd-cpp`: what a line says, the scanner of answers,
 * the plan of a task, flags from files, pictures made fit. SPDX-License-Identifier: MIT */
#include "tests/unit/engine/lab.h"

#include "worker/engine/pixels.h"
#include "worker/engine/sd-cpp/files.h"
#include "worker/engine/sd-cpp/inputs.h"
#include "worker/engine/sd-cpp/plan.h"
#include "worker/engine/sd-cpp/says.h"
#include "worker/engine/sd-cpp/scan.h"
#include "worker/engine/sd-cpp/spool.h"

/* ---- output ---- */

static void line(const char *text, enum says what, int step, int of)
{
	struct saying s = says(text);
	assert_int_equal(s.what, what);
	if (of) {
		assert_int_equal(s.step, step);
		assert_int_equal(s.of, of);
	}
}

static void test_lines(void **state)
{
	(void)state;
	line("  |=====================>    | 2/4 - 7.84it/s\x1b[K", SAYS_STEP, 2, 4);
	line("  |====================      | 1/3 - 12.20s/it\x1b[K", SAYS_STEP, 1, 3);
	line("  |######                    | 45/386 - 828.94MB/s\x1b[K", SAYS_LOADING, 45, 386);
	line("  |######                    | 45/386 - 1.94GB/s", SAYS_LOADING, 45, 386);
	line("[INFO ] stable-diffusion.cpp:5296 - get_learned_condition completed, taking 0.25s",
	     SAYS_READ, 0, 0);
	line("[INFO ] stable-diffusion.cpp:5711 - sampling completed, taking 0.28s", SAYS_SAMPLED,
	     0, 0);
	line("[INFO ] stable-diffusion.cpp:5861 - generate_image completed in 1.36s", SAYS_DONE, 0,
	     0);
	line("[INFO ] stable-diffusion.cpp:7215 - generate_video completed in 1.36s", SAYS_DONE, 0,
	     0);
	line("generate_image completed, says a prompt", SAYS_NOTHING, 0, 0);
	line("  |===| 5/4 - 1.0it/s", SAYS_NOTHING, 0, 0);
	line("  |===| -1/4 - 1.0it/s", SAYS_NOTHING, 0, 0);
	line("  |===| 1/0 - 1.0it/s", SAYS_NOTHING, 0, 0);
	line("  |===| 1/4", SAYS_NOTHING, 0, 0);
	line("|", SAYS_NOTHING, 0, 0);
	line("", SAYS_NOTHING, 0, 0);
}

static void test_standing_only_goes_forward(void **state)
{
	static const char *const lines[] = {
	    "  |####| 3/4 - 10.0MB/s",
	    "[INFO ] x - get_learned_condition completed, taking 0.25s",
	    "  |===>   | 2/4 - 7.84it/s",
	    "  |#######| 9/9 - 10.0MB/s",
	    "  |=>     | 1/4 - 7.84it/s", /* the second half of a video model */
	    "[INFO ] x - sampling completed, taking 0.28s",
	    "  |==>    | 1/2 - 7.84it/s", /* a tile of the decoder */
	    "[INFO ] x - generate_image completed in 1.36s",
	};
	struct standing s = {0};
	double last = 0;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct saying said = says(lines[i]);
		assert_true(standing_take(&s, &said));
		assert_true(s.fraction >= last && s.fraction < 1);
		last = s.fraction;
	}
	assert_string_equal(s.detail, "encoding");
	assert_true(last > 0.97);
}

/* ---- the scanner ---- */

/* All of the answer, in pieces of n bytes; out is what was decoded. */
static int scan_all(struct scan *s, const char *text, size_t piece, struct buf *out, struct err *e)
{
	int rc = 0;
	size_t len = strlen(text);
	for (size_t i = 0; i < len && rc == 0; i += piece)
		rc = scan_feed(s, text + i, len - i < piece ? len - i : piece, out, e);
	return rc;
}

static void test_an_answer_in_every_cut(void **state)
{
	static const char answer[] =
	    "{\"id\":\"b64_json\",\"note\":\"\\\"b64_json\\\":\\\"AAAA\\\"\",\"result\":{"
	    "\"images\":"
	    "[{\"b64_json\" : \"SGVsbG8sIHdvcmxkIQ==\",\"index\":0},{\"b64_json\":\"AAAA\"}]},"
	    "\"status\":\"completed\"}";
	(void)state;
	for (size_t piece = 1; piece <= sizeof answer; piece++) {
		struct scan s;
		struct buf out;
		struct err e = ERR_INIT;
		scan_init(&s, 100);
		buf_init(&out, 100);
		assert_int_equal(scan_all(&s, answer, piece, &out, &e), 0);
		assert_string_equal(out.data, "Hello, world!");
		assert_true(scan_whole(&s));
		json_t *o = json_parse(s.rest.data, s.rest.len, &e);
		assert_string_equal(json_string_value(json_object_get(o, "status")), "completed");
		assert_null(strstr(s.rest.data, "SGVs"));
		json_decref(o);
		scan_fini(&s);
		buf_fini(&out);
	}
}

static void scanned(const char *text, int code, const char *words)
{
	struct scan s;
	struct buf out;
	struct err e = ERR_INIT;
	scan_init(&s, 6);
	buf_init(&out, 100);
	int rc = scan_all(&s, text, 7, &out, &e);
	assert_int_equal(rc, -code);
	if (words && !strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	if (rc == 0)
		assert_false(scan_whole(&s));
	scan_fini(&s);
	buf_fini(&out);
}

static void test_answers_that_are_none(void **state)
{
	(void)state;
	scanned("{\"b64_json\":\"SGVs!G8=\"}", EPROTO, "garbage");
	scanned("{\"b64_json\":\"SG=s\"}", EPROTO, "garbage");
	scanned("{\"b64_json\":\"SGVsbG8sIHdvcmxkIQ==\"}", EFBIG, "more than 6 bytes");
	scanned("{\"b64_json\":\"SGVsb\"}", 0, NULL); /* cut: not whole */
	scanned("{\"b64_json\":\"SGVs", 0, NULL);
	scanned("{\"b64_json\":\"\"}", 0, NULL);
	scanned("{\"status\":\"completed\"}", 0, NULL);
	auto_free char *long_text = xmalloc(SCAN_MAX_REST + 100);
	memset(long_text, 'A', SCAN_MAX_REST + 99);
	long_text[SCAN_MAX_REST + 99] = '\0';
	scanned(long_text, EPROTO, "garbage");
}

/* ---- the spool ---- */

struct spooling {
	struct loop loop;
	bool finished, room;
	struct err err;
};

static void spooled(void *arg, const struct err *err)
{
	struct spooling *s = arg;
	s->finished = true;
	if (err)
		s->err = *err;
	loop_stop(&s->loop);
}

static void has_room(void *arg)
{
	struct spooling *s = arg;
	s->room = true;
}

static void spool_to(const char *path, size_t pieces, struct spooling *s)
{
	static const struct spool_events events = {.room = has_room, .finished = spooled};
	static char piece[64 << 10];
	struct err e = ERR_INIT;
	assert_int_equal(loop_init(&s->loop, &e), 0);
	struct spool *spool = spool_new(&s->loop.pool, path, &events, s);
	for (size_t i = 0; i < pieces; i++) {
		memset(piece, (int)('a' + i % 26), sizeof piece);
		if (spool_full(spool))
			break;
		assert_true(buf_add(spool_buf(spool), piece, sizeof piece));
		spool_push(spool);
	}
	spool_finish(spool);
	loop_run(&s->loop);
	assert_true(s->finished);
	loop_fini(&s->loop);
}

static void test_spool(void **state)
{
	struct spooling s = {0};
	char dir[] = "/tmp/spool-XXXXXX";
	struct err e = ERR_INIT;
	uint64_t size;
	(void)state;
	assert_non_null(mkdtemp(dir));
	auto_free char *path = fs_join(dir, "file");
	spool_to(path, 10, &s);
	assert_int_equal(s.err.code, 0);
	assert_int_equal(fs_size(path, &size, &e), 0);
	assert_int_equal(size, 640 << 10);
	/* The loop does not turn: nothing is written back, and it is full some time. */
	s = (struct spooling){0};
	spool_to(path, 1000, &s);
	assert_int_equal(fs_size(path, &size, &e), 0);
	assert_true(size > 1 << 20 && size < 3 << 20);
	s = (struct spooling){0};
	spool_to("/nonexistent/file", 1, &s);
	assert_int_equal(s.err.code, ENOENT);
	fs_remove_tree(dir, &e);
}

/* ---- the plan ---- */

struct draft {
	struct task *task;
	struct source *source;
	struct engine_job job;
	struct plan plan;
	struct err e;
	int rc;
};

#define MODEL "[{\"role\":\"diffusion-model\",\"url\":\"https://h/x\",\"filename\":\"x.gguf\"}]"

static void draft(struct draft *d, const char *task, const char *files, const char *defaults)
{
	*d = (struct draft){0};
	auto_free char *text =
	    xasprintf("{\"engine\":\"sd-cpp\",\"files\":%s,\"cliDefaults\":%s}", files, defaults);
	json_t *t = json_parse(task, strlen(task), &d->e),
	       *s = json_parse(text, strlen(text), &d->e);
	if (!t || !s || task_decode(t, &d->task, &d->e) < 0 ||
	    source_decode(s, &d->source, &d->e) < 0)
		fail_msg("%s", d->e.text);
	json_decref(t);
	json_decref(s);
	d->job = (struct engine_job){.task = d->task, .source = d->source};
	d->rc = sd_plan_make(&d->plan, &d->job, NULL, &d->e);
}

static void draft_fini(struct draft *d)
{
	task_free(d->task);
	source_free(d->source);
}

static void check_plan(const char *task, const char *files, const char *defaults, const char *words)
{
	struct draft d;
	draft(&d, task, files, defaults);
	assert_int_equal(d.rc, words ? -EINVAL : 0);
	if (words && !strstr(d.e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", d.e.text, words);
	draft_fini(&d);
}

#define IMAGE(fields) "{\"kind\":\"image\",\"prompt\":\"x\"" fields "}"
#define VIDEO(fields) "{\"kind\":\"video\",\"prompt\":\"x\"" fields "}"

static void test_whose_value_it_is(void **state)
{
	struct draft d;
	(void)state;
	draft(&d, IMAGE(), MODEL, "{}");
	assert_int_equal(d.plan.width, 1024);
	assert_int_equal(d.plan.height, 1024);
	assert_int_equal(d.plan.steps, 8);
	assert_true(d.plan.cfg_scale == 1.0 && d.plan.strength == 0.75 && !d.plan.has_flow_shift);
	assert_null(d.plan.sampler);
	assert_string_equal(d.plan.format, "webp");
	draft_fini(&d);
	draft(&d, IMAGE(",\"steps\":20,\"width\":512,\"seed\":18446744073709551615"), MODEL,
	      "{\"steps\":30,\"width\":768,\"height\":640.0,\"cfgScale\":3,\"flowShift\":2.5,"
	      "\"samplingMethod\":\"heun\"}");
	assert_int_equal(d.plan.steps, 30);  /* 20 is nobody's choice */
	assert_int_equal(d.plan.width, 512); /* but this is, because it is written there */
	assert_int_equal(d.plan.height, 640);
	assert_true(d.plan.cfg_scale == 3 && d.plan.flow_shift == 2.5);
	assert_string_equal(d.plan.sampler, "heun");
	assert_true(d.plan.seed <= INT64_MAX);
	draft_fini(&d);
	draft(&d, IMAGE(",\"width\":100,\"ext\":\"jpg\""), MODEL, "{}");
	assert_string_equal(d.plan.format, "png"); /* it will be cut */
	draft_fini(&d);
}

static void test_plans_that_are_refused(void **state)
{
	(void)state;
	check_plan(IMAGE(), MODEL, "{\"samplingMethod\":\"nope\"}", "'nope'");
	check_plan(IMAGE(), MODEL, "{\"steps\":0}", "0 steps");
	check_plan(IMAGE(), MODEL, "{\"width\":63}", "63x1024");
	check_plan(IMAGE(), MODEL, "{\"height\":1e300}", NULL); /* no such number: the fallback */
	check_plan(IMAGE(), MODEL, "{\"flowShift\":-1}", "flowShift of -1");
	check_plan(IMAGE(",\"maskUrl\":\"https://h/m\""), MODEL, "{}", "a mask needs");
	check_plan(IMAGE(), "[]", "{}", "no file of the role");
	check_plan(IMAGE(),
		   "[{\"role\":\"model\",\"url\":\"https://h/x\",\"filename\":\"a\"},"
		   "{\"role\":\"model\",\"url\":\"https://h/x\",\"filename\":\"b\"}]",
		   "{}", "both meant for --model");
	check_plan(VIDEO(",\"seconds\":1e9"), MODEL, "{}", "out of range");
	check_plan(VIDEO(",\"ext\":\"avi\""), MODEL, "{}", "mp4, webm, webp or gif");
	check_plan(VIDEO(",\"seconds\":60,\"fps\":60"), MODEL, "{}", "ask for less");
}

static void test_frames(void **state)
{
	static const struct {
		double seconds;
		int64_t keep, frames;
	} rows[] = {{0.01, 1, 1},  {0.125, 1, 1}, {0.25, 2, 5},	 {0.5, 4, 5},
		    {0.625, 5, 5}, {0.75, 6, 9},  {1.125, 9, 9}, {4, 32, 33}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct draft d;
		auto_free char *task = xasprintf(
		    VIDEO(",\"fps\":8,\"width\":64,\"height\":64,\"seconds\":%g"), rows[i].seconds);
		draft(&d, task, MODEL, "{}");
		assert_int_equal(d.rc, 0);
		assert_int_equal(d.plan.keep, rows[i].keep);
		assert_int_equal(d.plan.frames, rows[i].frames);
		draft_fini(&d);
	}
}

static void test_facts(void **state)
{
	struct facts f;
	struct err e = ERR_INIT;
	static const char text[] = "{\"samplers\":[\"one\",7,\"two\"],\"output_formats_by_mode\":"
				   "{\"img_gen\":[\"png\",\"jpeg\"]}}";
	(void)state;
	facts_init(&f);
	assert_true(f.webp);
	assert_int_equal(f.n_samplers, 21);
	json_t *o = json_parse("{}", 2, &e);
	facts_take(&f, o); /* says nothing: nothing changes */
	assert_int_equal(f.n_samplers, 21);
	json_decref(o);
	o = json_parse(text, strlen(text), &e);
	facts_take(&f, o);
	json_decref(o);
	assert_false(f.webp);
	assert_int_equal(f.n_samplers, 2);
	assert_string_equal(f.samplers[1], "two");
}

static void test_patience(void **state)
{
	struct draft d;
	(void)state;
	draft(&d, IMAGE(), MODEL, "{}");
	struct patience p = sd_plan_patience(&d.plan);
	assert_true(p.silence_ms >= 180000 && p.silence_ms < p.total_ms);
	draft_fini(&d);
	draft(&d, IMAGE(",\"width\":4096,\"height\":4096,\"steps\":100"), MODEL, "{}");
	assert_int_equal(sd_plan_patience(&d.plan).total_ms, 6 * 3600 * 1000);
	assert_true(sd_plan_max_bytes(&d.plan) > 4096u * 4096u * 4u);
	draft_fini(&d);
}

/* ---- pictures ---- */

static void put_picture(const char *path, const char *ext, int w, int h, int channels)
{
	struct err e = ERR_INIT;
	struct pixels p = {.width = w, .height = h, .channels = channels};
	p.data = xcalloc((size_t)(w * h), (size_t)channels);
	assert_int_equal(pixels_write(&p, path, ext, 0, &e), 0);
	pixels_fini(&p);
}

static enum picture_format format_of(const char *path, struct pixels *size)
{
	struct err e = ERR_INIT;
	auto_free char *data = NULL;
	size_t len;
	assert_int_equal(fs_read(path, 1 << 24, &data, &len, &e), 0);
	assert_int_equal(pixels_probe(data, len, size, &e), 0);
	return picture_sniff(data, len);
}

static void test_inputs(void **state)
{
	static const struct {
		const char *ext;
		int w, h, channels;
		bool same;
		int new_w, new_h;
	} rows[] = {
	    {"png", 100, 80, 3, true, 100, 80},	 {"png", 100, 80, 4, true, 100, 80},
	    {"jpg", 100, 80, 3, true, 100, 80},	 {"png", 100, 80, 1, false, 100, 80},
	    {"jpg", 100, 80, 1, false, 100, 80}, {"webp", 100, 80, 3, false, 100, 80},
	    {"png", 400, 300, 3, false, 85, 64}, /* far larger than 64x64 */
	};
	char dir[] = "/tmp/inputs-XXXXXX";
	struct err e = ERR_INIT;
	(void)state;
	assert_non_null(mkdtemp(dir));
	auto_free char *init = fs_join(dir, "in"), *mask = fs_join(dir, "m");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct inputs in;
		struct plan plan = {.init = true, .mask = true, .width = 64, .height = 64};
		struct engine_job job = {.scratch = dir, .init_image = init, .mask = mask};
		struct pixels size;
		put_picture(init, rows[i].ext, rows[i].w, rows[i].h, rows[i].channels);
		put_picture(mask, "png", 10, 10, 1);
		inputs_init(&in, &job, &plan);
		assert_int_equal(inputs_prepare(&in, &e), 0);
		assert_int_equal(strcmp(in.path[INPUT_BASE], init) == 0, rows[i].same);
		enum picture_format f = format_of(in.path[INPUT_BASE], &size);
		assert_true(f == PICTURE_PNG || rows[i].same);
		assert_true(size.channels >= 3);
		assert_int_equal(size.width, rows[i].new_w);
		assert_int_equal(size.height, rows[i].new_h);
		format_of(in.path[INPUT_MASK], &size); /* lies on the picture, exactly */
		assert_int_equal(size.width, rows[i].new_w);
		assert_int_equal(size.height, rows[i].new_h);
		inputs_fini(&in);
	}
	fs_remove_tree(dir, &e);
}

static void test_the_request(void **state)
{
	struct draft d;
	struct inputs in = {0};
	struct err e = ERR_INIT;
	char dir[] = "/tmp/request-XXXXXX";
	char lora[] = "lora-1.gguf", *loras[] = {lora};
	size_t len;
	(void)state;
	assert_non_null(mkdtemp(dir));
	auto_free char *path = fs_join(dir, "p");
	for (size_t n = 0; n < 5; n++) { /* every padding of base64 */
		assert_int_equal(fs_write_atomic(path, "abcde", n, 0600, &e), 0);
		draft(&d, IMAGE(",\"refImageUrl\":\"https://h/r\",\"seed\":7"), MODEL, "{}");
		in.path[INPUT_BASE] = xstrdup(path);
		auto_free char *body = sd_request_body(&d.plan, &in, loras, 1, &len, &e);
		json_t *o = json_parse(body, len, &e), *list = json_object_get(o, "ref_images");
		static const char *const encoded[] = {"", "YQ==", "YWI=", "YWJj", "YWJjZA=="};
		assert_string_equal(json_string_value(json_array_get(list, 0)), encoded[n]);
		assert_int_equal(json_integer_value(json_object_get(o, "seed")), 7);
		assert_string_equal(json_string_value(json_object_get(
					json_array_get(json_object_get(o, "lora"), 0), "path")),
				    lora);
		json_decref(o);
		inputs_fini(&in);
		draft_fini(&d);
	}
	fs_remove_tree(dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_standing_only_goes_forward),
	    cmocka_unit_test(test_an_answer_in_every_cut),
	    cmocka_unit_test(test_answers_that_are_none),
	    cmocka_unit_test(test_spool),
	    cmocka_unit_test(test_whose_value_it_is),
	    cmocka_unit_test(test_plans_that_are_refused),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_patience),
	    cmocka_unit_test(test_inputs),
	    cmocka_unit_test(test_the_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
