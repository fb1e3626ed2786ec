/* Large results in constant memory, and how long a slow client may take.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/net_fixture.h"

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIZE	(16u << 20)
#define MAX_KIB INT64_MAX /* ASan keeps freed memory */
#else
#define SIZE	(100u << 20)
#define MAX_KIB 8192
#endif

struct world {
	struct fixture *f;
	char path[64];
	size_t bytes;
	struct request *paused;
	struct timer resume;
	size_t next_pause;
	bool wrong;
};

static void resume(void *arg)
{
	request_resume(((struct world *)arg)->paused);
}

static void begin(struct request *r, void *arg)
{
	request_set_data(r, arg, NULL);
}

/* Stops now and then, as one whose disk is slow does. */
static void file_data(struct request *r, const void *data, size_t len)
{
	struct world *w = request_data(r);
	for (size_t i = 0; i < len; i += 4096)
		w->wrong |=
		    ((const unsigned char *)data)[i] != (unsigned char)((w->bytes + i) % 251);
	w->bytes += len;
	if (w->bytes < w->next_pause)
		return;
	w->next_pause += SIZE / 8;
	w->paused = r;
	request_pause(r);
	timer_start(&w->resume, &w->f->loop.clock, 5, resume, w);
}

static void uploaded(struct request *r, void *arg)
{
	(void)arg;
	respond_text(r, 200, "text/plain", "ok", 2);
}

static void download(struct request *r, void *arg)
{
	respond_file(r, ((struct world *)arg)->path, "video/mp4", NULL);
}

static const struct multipart_events multipart = {begin, NULL, NULL, file_data};
static const struct route routes[] = {
    {"POST", "/upload", 1u << 30, uploaded, &multipart},
    {"GET", "/file", 0, download, NULL},
};

static struct world *world_new(void)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	w->next_pause = SIZE / 8;
	snprintf(w->path, sizeof w->path, "/tmp/net-test-XXXXXX");
	int fd = mkstemp(w->path);
	unsigned char block[251 * 256];
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (unsigned char)(i % 251);
	for (size_t done = 0, n; done < SIZE; done += n) {
		n = SIZE - done < sizeof block ? SIZE - done : sizeof block;
		assert_int_equal(write(fd, block, n), (ssize_t)n);
	}
	close(fd);
	struct server_spec spec = {
	    .listen = "127.0.0.1:0", .routes = routes, .n_routes = 2, .arg = w};
	fixture_serve(w->f, &spec);
	return w;
}

static void world_free(struct world *w)
{
	unlink(w->path);
	timer_stop(&w->resume);
	fixture_free(w->f);
	free(w);
}

static int64_t peak_kib(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Both ends are in this process: together they stay in a few MiB. */
static void a_large_upload(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	int64_t before = peak_kib();
	auto_free char *url = url_of(w->f, "http", "/upload");
	struct http_request req = {.method = "POST",
				   .url = url,
				   .bearer = &w->f->token,
				   .prompt = "p",
				   .ext = "mp4",
				   .file_path = w->path,
				   .file_name = "j.mp4",
				   .content_type = "video/mp4",
				   .max_reply = 4096};
	fetch(w->f, &req, &g);
	assert_int_equal(g.status, 200);
	assert_int_equal(w->bytes, SIZE);
	assert_false(w->wrong);
	print_message("peak grew by %lld KiB\n", (long long)(peak_kib() - before));
	assert_true(peak_kib() - before <= MAX_KIB);
	got_fini(&g);
	world_free(w);
}

static void a_large_download(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	int64_t before = peak_kib();
	size_t total = 0;
	raw_connect(&r, w->f);
	raw_send(&r, "GET /file HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	while (!r.eof) {
		r.seen = false;
		r.until = "";
		await(w->f, &r.seen);
		total += r.in.len;
		buf_reset(&r.in);
	}
	assert_in_range(total, SIZE, SIZE + 1000);
	print_message("peak grew by %lld KiB\n", (long long)(peak_kib() - before));
	assert_true(peak_kib() - before <= MAX_KIB);
	raw_close(&r);
	world_free(w);
}

/* A header that drips is cut off after 10 s, while others are served. */
static void a_dripping_header(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	uint64_t start = clock_now(&w->f->loop.clock);
	raw_connect(&r, w->f);
	while (!r.eof) {
		raw_send(&r, "x");
		live(w->f, 250);
		assert_true(clock_now(&w->f->loop.clock) - start < 15000);
	}
	assert_true(clock_now(&w->f->loop.clock) - start > 8000);
	raw_close(&r);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_large_upload),
	    cmocka_unit_test(a_large_download),
	    cmocka_unit_test(a_dripping_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
