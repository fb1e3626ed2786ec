/* The HTTP client against the HTTP server, and the server against clients that misbehave.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/net_fixture.h"

#include <ifaddrs.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/fs/fs.h"

struct world {
	struct fixture *f;
	struct request *held; /* answered by the test */
	struct timer later;
	char seen[256], file[512];
	int handled, gone, begun, files;
	size_t bytes;
	bool pause, refuse, held_now, answer_later;
};

static void on_gone(void *data)
{
	((struct world *)data)->gone++;
}

static void hello(struct request *r, void *arg)
{
	struct world *w = arg;
	const char *q = request_query(r, "q");
	w->handled++;
	respond_json(r, 200,
		     json_pack("{s:s, s:s?, s:s?, s:b, s:s, s:s?}", "id", request_param(r, "id"),
			       "q", q, "agent", request_header(r, "user-agent"), "token",
			       secret_equal(&w->f->token, request_bearer(r)), "peer",
			       request_peer(r), "none", request_query(r, "none")));
}

static void mirror(struct request *r, void *arg)
{
	size_t len;
	const char *body = request_body(r, &len);
	struct world *w = arg;
	w->handled++;
	respond_text(r, 200, "application/json", body, len);
}

static void hold(struct request *r, void *arg)
{
	struct world *w = arg;
	w->held = r;
	w->held_now = true;
	request_set_data(r, w, on_gone);
}

static void later(void *arg)
{
	struct world *w = arg;
	respond_error(w->held, 409, "conflict", "job %d has gone", 17);
}

static void slow(struct request *r, void *arg)
{
	struct world *w = arg;
	hold(r, arg);
	timer_start(&w->later, &w->f->loop.clock, 20, later, w);
}

static void twice_the_size(struct request *r, void *arg)
{
	(void)arg;
	char *big = xcalloc(1, 2u << 20);
	memset(big, 'x', 2u << 20);
	respond_text(r, 200, "text/plain", big, 2u << 20);
	free(big);
}

static void send_file(struct request *r, void *arg)
{
	struct world *w = arg;
	respond_file(r, w->file, "image/png", "a \"job\"\r\nX-Bad: 1.png");
}

static void resume_later(void *arg)
{
	request_resume(((struct world *)arg)->held);
}

static void begin(struct request *r, void *arg)
{
	struct world *w = arg;
	w->begun++;
	w->held = r;
	request_set_data(r, w, on_gone);
	if (w->refuse) {
		respond_error(r, 409, "conflict", "not yours");
		return;
	}
	if (w->pause) {
		request_pause(r);
		timer_start(&w->later, &w->f->loop.clock, 20, resume_later, w);
	}
}

static void field(struct request *r, const char *name, const char *value, size_t len)
{
	struct world *w = request_data(r);
	snprintf(w->seen + strlen(w->seen), sizeof w->seen - strlen(w->seen), "%s=%.*s;", name,
		 (int)len, value);
}

static void file(struct request *r, const char *name, const char *filename, const char *type)
{
	struct world *w = request_data(r);
	w->files++;
	snprintf(w->seen + strlen(w->seen), sizeof w->seen - strlen(w->seen), "%s:%s:%s;", name,
		 filename, type);
}

static void file_data(struct request *r, const void *data, size_t len)
{
	struct world *w = request_data(r);
	(void)data;
	w->bytes += len;
	if (w->answer_later) {
		w->held = r;
		request_pause(r);
		timer_start(&w->later, &w->f->loop.clock, 20, later, w);
	}
}

static void uploaded(struct request *r, void *arg)
{
	struct world *w = arg;
	w->handled++;
	respond_json(r, 200, json_pack("{s:s}", "status", "done"));
}

static const struct multipart_events multipart = {begin, field, file, file_data};

static const struct route routes[] = {
    {"GET", "/hello/{id}", 1024, hello, NULL}, {"POST", "/mirror", 1u << 20, mirror, NULL},
    {"PUT", "/mirror", 100, mirror, NULL},     {"GET", "/hold", 0, hold, NULL},
    {"GET", "/slow", 0, slow, NULL},	       {"GET", "/big", 0, twice_the_size, NULL},
    {"GET", "/file", 0, send_file, NULL},      {"POST", "/upload", 8u << 20, uploaded, &multipart},
};

static bool gate(struct request *r, const struct route *route, void *arg)
{
	(void)arg;
	if (strcmp(route->method, "PUT") != 0 || request_query(r, "open"))
		return true;
	respond_error(r, 401, "unauthorized", "no");
	return false;
}

static struct world *world_at(const char *listen_at, unsigned max_connections)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	struct server_spec spec = {.listen = listen_at,
				   .routes = routes,
				   .n_routes = ARRAY_LEN(routes),
				   .gate = gate,
				   .arg = w,
				   .max_connections = max_connections};
	fixture_serve(w->f, &spec);
	return w;
}

static struct world *world_new(void)
{
	return world_at("127.0.0.1:0", 0);
}

static void world_free(struct world *w)
{
	timer_stop(&w->later);
	fixture_free(w->f);
	free(w);
}

static void check_text(struct got *g, int status, const char *part)
{
	if (g->status != status || (part && !strstr(g->body, part)))
		fail_msg("HTTP %d '%s' (%s), not %d '%s'", g->status, g->body ? g->body : "",
			 g->err.text, status, part ? part : "");
	got_fini(g);
}

static void what_a_handler_sees(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	fetch_path(w->f, "GET", "/hello/a%2Fb%20%C3%A9?q=x%26y%20z&r=1", NULL, &g);
	assert_int_equal(g.status, 200);
	json_t *o = json_loads(g.body, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "id")), "a/b \xc3\xa9");
	assert_string_equal(json_string_value(json_object_get(o, "q")), "x&y z");
	assert_string_equal(json_string_value(json_object_get(o, "agent")), "studio-worker/test");
	assert_string_equal(json_string_value(json_object_get(o, "peer")), "127.0.0.1");
	assert_true(json_is_true(json_object_get(o, "token")));
	assert_true(json_is_null(json_object_get(o, "none")));
	json_decref(o);
	got_fini(&g);
	world_free(w);
}

static void not_found_and_not_allowed(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	struct raw r;
	fetch_path(w->f, "GET", "/nowhere", NULL, &g);
	check_text(&g, 404, "\"error\":\"not_found\"");
	fetch_path(w->f, "POST", "/nowhere", "{}", &g);
	check_text(&g, 404, "not_found");
	fetch_path(w->f, "DELETE", "/mirror", NULL, &g);
	check_text(&g, 405, "\"error\":\"method_not_allowed\"");
	raw_connect(&r, w->f);
	raw_send(&r, "DELETE /mirror HTTP/1.1\r\nHost: h\r\n\r\n");
	raw_await(&r, "\r\n\r\n");
	assert_int_equal(raw_status(&r), 405);
	assert_non_null(strcasestr(r.in.data, "\r\nAllow: POST, PUT\r\n"));
	raw_close(&r);
	world_free(w);
}

static void head_is_get_without_the_body(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "HEAD /hello/1 HTTP/1.1\r\nHost: h\r\n\r\n"
		     "HEAD /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	raw_await(&r, NULL);
	assert_int_equal(raw_status(&r), 200);
	assert_non_null(strstr(r.in.data, "HTTP/1.1 404"));
	assert_null(strchr(r.in.data, '{'));
	raw_close(&r);
	world_free(w);
}

static void bodies_and_their_limits(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	char *big = xcalloc(1, (4u << 20) + 1);
	fetch_path(w->f, "POST", "/mirror", "{\"a\":1}", &g);
	check_text(&g, 200, "{\"a\":1}");
	fetch_path(w->f, "POST", "/mirror", NULL, &g);
	assert_int_equal(g.len, 0);
	check_text(&g, 200, NULL);
	memset(big, 'x', 1u << 20);
	fetch_path(w->f, "POST", "/mirror", big, &g);
	assert_int_equal(g.len, 1u << 20);
	check_text(&g, 200, NULL);
	memset(big, 'x', (1u << 20) + 1);
	fetch_path(w->f, "POST", "/mirror", big, &g);
	check_text(&g, 413, "too_large");
	memset(big, 'x', 4u << 20);
	fetch_path(w->f, "POST", "/mirror", big, &g);
	check_text(&g, 413, "too_large");
	assert_int_equal(w->handled, 3);
	free(big);
	world_free(w);
}

static void chunked_bodies(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "POST /mirror HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n");
	raw_await(&r, "abcdefg");
	raw_close(&r);
	raw_connect(&r, w->f);
	raw_send(&r,
		 "PUT /mirror?open=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 11; i++)
		raw_send(&r, "a\r\n0123456789\r\n");
	raw_send(&r, "0\r\n\r\n");
	raw_await(&r, "too_large");
	assert_int_equal(raw_status(&r), 413);
	raw_close(&r);
	assert_int_equal(w->handled, 1);
	world_free(w);
}

/* A refusal at the headers reaches a client that is still sending. */
static void refused_while_sending(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	char *big = xcalloc(1, (16u << 20) + 1);
	memset(big, 'x', 16u << 20);
	for (int i = 0; i < 5; i++) {
		fetch_path(w->f, "PUT", "/mirror", "{}", &g);
		check_text(&g, 401, "unauthorized");
		fetch_path(w->f, "PUT", "/mirror", big, &g);
		check_text(&g, 401, "unauthorized");
		fetch_path(w->f, "POST", "/nowhere", big, &g);
		check_text(&g, 404, "not_found");
	}
	assert_int_equal(w->handled, 0);
	free(big);
	world_free(w);
}

static void answered_later(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	fetch_path(w->f, "GET", "/slow", NULL, &g);
	check_text(&g, 409, "job 17 has gone");
	live(w->f, 1);
	assert_int_equal(w->gone, 1);
	world_free(w);
}

static void client_gives_up(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g = {0};
	auto_free char *url = url_of(w->f, "http", "/slow");
	struct http_request req = {.method = "GET", .url = url, .max_reply = 1000};
	struct exchange *x = transport_request(w->f->net, &req, on_got, &g);
	await(w->f, &w->held_now);
	transport_cancel(w->f->net, x);
	live(w->f, 60);
	assert_false(g.done);
	assert_int_equal(w->gone, 1);
	world_free(w);
}

static void server_goes_while_one_waits(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g = {0};
	auto_free char *url = url_of(w->f, "http", "/hold");
	struct http_request req = {.method = "GET", .url = url, .max_reply = 1000};
	transport_request(w->f->net, &req, on_got, &g);
	await(w->f, &w->held_now);
	server_free(w->f->server);
	w->f->server = NULL;
	assert_int_equal(w->gone, 1);
	await(w->f, &g.done);
	assert_int_equal(g.status, 0);
	assert_int_not_equal(g.err.code, 0);
	got_fini(&g);
	world_free(w);
}

static void client_goes_while_one_waits(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g = {0};
	auto_free char *url = url_of(w->f, "http", "/hold");
	struct http_request req = {.method = "GET", .url = url, .max_reply = 1000};
	transport_request(w->f->net, &req, on_got, &g);
	world_free(w);
	assert_false(g.done);
}

static void replies_are_capped(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	fetch_path(w->f, "GET", "/big", NULL, &g);
	assert_int_equal(g.status, 0);
	assert_int_equal(g.err.code, EMSGSIZE);
	got_fini(&g);
	world_free(w);
}

static void no_answer_is_an_error_in_words(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("http://127.0.0.1:%d/", port);
	struct http_request req = {
	    .method = "GET", .url = url, .bearer = &w->f->token, .timeout_ms = 200, .max_reply = 9};
	fetch(w->f, &req, &g);
	assert_int_equal(g.status, 0);
	assert_int_equal(g.err.code, ETIMEDOUT);
	assert_null(strstr(g.err.text, "a-token"));
	got_fini(&g);
	close(fd);
	fetch(w->f, &req, &g);
	assert_int_equal(g.status, 0);
	assert_int_not_equal(g.err.code, 0);
	got_fini(&g);
	world_free(w);
}

static void redirects_are_not_followed(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g = {0};
	struct raw r;
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("http://127.0.0.1:%d/", port);
	struct http_request req = {
	    .method = "GET", .url = url, .timeout_ms = 9000, .max_reply = 100};
	transport_request(w->f->net, &req, on_got, &g);
	raw_accept(&r, w->f, fd);
	raw_await(&r, "\r\n\r\n");
	auto_free char *text =
	    xasprintf("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/hello/1"
		      "\r\nContent-Length: 0\r\n\r\n",
		      server_port(w->f->server));
	raw_send(&r, text);
	await(w->f, &g.done);
	assert_int_equal(g.status, 302);
	assert_int_equal(w->handled, 0);
	got_fini(&g);
	raw_close(&r);
	close(fd);
	world_free(w);
}

static void kept_alive_and_pipelined(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "GET /hello/1 HTTP/1.1\r\nHost: h\r\n\r\n"
		     "POST /mirror HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
		     "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
		     "GET /hello/last HTTP/1.1\r\nHost: h\r\n\r\n");
	raw_await(&r, "\"id\":\"1\"");
	raw_await(&r, "abc");
	raw_await(&r, "has gone");
	raw_await(&r, "\"id\":\"last\"");
	raw_close(&r);
	world_free(w);
}

static void hundred_continue(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "POST /mirror HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		     "Content-Length: 3\r\n\r\n");
	raw_await(&r, "HTTP/1.1 100");
	raw_send(&r, "abc");
	raw_await(&r, "abc");
	raw_close(&r);
	/* Refused at the headers: no 100 comes first. */
	raw_connect(&r, w->f);
	raw_send(&r, "PUT /mirror HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		     "Content-Length: 3\r\n\r\n");
	raw_await(&r, "\r\n\r\n");
	assert_int_equal(raw_status(&r), 401);
	raw_close(&r);
	world_free(w);
}

static void broken_requests(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "GET\r\n\r\n",
	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	    "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 hello tls\r\n\r\n",
	    "POST /mirror HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
	    "POST /mirror HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
	    "POST /mirror HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	    ("POST /mirror HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "ffffffffffffffff1\r\n"),
	    "GET /hello/1 HTTP/1.1\r\n\r\n", /* no Host */
	};
	struct world *w = world_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw r;
		raw_connect(&r, w->f);
		raw_send(&r, rows[i]);
		shutdown(r.fd, SHUT_WR);
		raw_await(&r, NULL);
		if (raw_status(&r) && raw_status(&r) < 400)
			fail_msg("'%s': %d", rows[i], raw_status(&r));
		raw_close(&r);
	}
	assert_int_equal(w->handled, 0);
	world_free(w);
}

static void endless_headers(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "GET /hello/1 HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 5000 && !r.eof; i++)
		raw_send(&r, "X-Fill: 0123456789012345678901234567890123456789\r\n");
	raw_await(&r, NULL);
	assert_int_equal(w->handled, 0);
	if (raw_status(&r)) /* the answer may be lost to a reset */
		assert_in_range(raw_status(&r), 400, 499);
	raw_close(&r);
	world_free(w);
}

/* Those over the limit wait in the kernel's queue until others have gone. */
static void too_many_connections(void **state)
{
	(void)state;
	struct world *w = world_at("127.0.0.1:0", 3);
	struct raw r[6];
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		raw_connect(&r[i], w->f);
		raw_send(&r[i], "GET /hello/1 HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	for (size_t i = 0; i < 3; i++)
		raw_await(&r[i], "\"id\":\"1\"");
	assert_int_equal(w->handled, 3);
	for (size_t i = 0; i < 3; i++)
		raw_close(&r[i]);
	for (size_t i = 3; i < 6; i++) {
		raw_await(&r[i], "\"id\":\"1\"");
		raw_close(&r[i]);
	}
	world_free(w);
}

/* ---- files ---- */

static void make_file(struct world *w, size_t size)
{
	static const char block[65536] = "block";
	snprintf(w->file, sizeof w->file, "/tmp/net-test-XXXXXX");
	int fd = mkstemp(w->file);
	for (size_t n; size; size -= n) {
		n = size < sizeof block ? size : sizeof block;
		assert_int_equal(write(fd, block, n), (ssize_t)n);
	}
	close(fd);
}

static void a_file_comes_whole(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	struct raw r;
	make_file(w, 500001);
	fetch_path(w->f, "GET", "/file", NULL, &g);
	assert_int_equal(g.len, 500001);
	assert_memory_equal(g.body, "block", 5);
	check_text(&g, 200, NULL);
	raw_connect(&r, w->f);
	raw_send(&r, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
	raw_await(&r, "\r\n\r\n");
	assert_non_null(strcasestr(r.in.data, "Content-Type: image/png\r\n"));
	assert_null(strstr(r.in.data, "\nX-Bad"));
	raw_close(&r);
	unlink(w->file);
	fetch_path(w->f, "GET", "/file", NULL, &g);
	check_text(&g, 404, "not_found");
	world_free(w);
}

static void upload(struct world *w, struct got *g, size_t size)
{
	make_file(w, size);
	auto_free char *url = url_of(w->f, "http", "/upload");
	struct http_request req = {.method = "POST",
				   .url = url,
				   .bearer = &w->f->token,
				   .prompt = "a fox \"quoted\"\r\n--x",
				   .ext = "png",
				   .file_path = w->file,
				   .file_name = "job-17.png",
				   .content_type = "image/png",
				   .max_reply = 4096};
	fetch(w->f, &req, g);
	unlink(w->file);
}

static void uploads(void **state)
{
	(void)state;
	struct got g;
	for (int pause = 0; pause < 2; pause++) {
		struct world *w = world_new();
		w->pause = pause;
		upload(w, &g, 3000001);
		check_text(&g, 200, "done");
		assert_int_equal(w->bytes, 3000001);
		assert_int_equal(w->begun, 1);
		assert_int_equal(w->files, 1);
		assert_string_equal(w->seen, "prompt=a fox \"quoted\"\r\n--x;ext=png;"
					     "image:job-17.png:image/png;");
		world_free(w);
	}
	struct world *w = world_new();
	upload(w, &g, 0);
	check_text(&g, 200, "done");
	assert_int_equal(w->files, 1);
	assert_int_equal(w->bytes, 0);
	world_free(w);
}

static void uploads_that_are_refused(void **state)
{
	(void)state;
	struct got g;
	struct world *w = world_new();
	w->refuse = true;
	upload(w, &g, 3000001);
	check_text(&g, 409, "not yours");
	assert_int_equal(w->bytes, 0);
	w->refuse = false;
	upload(w, &g, 9u << 20);
	check_text(&g, 413, "too_large");
	assert_int_equal(w->handled, 0);
	world_free(w);
}

/* A studio that answers in the middle of an upload and cuts: the answer counts. */
static void an_answer_and_a_reset(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g = {0};
	struct raw r;
	int port, fd = listen_any(&port);
	make_file(w, 8u << 20);
	auto_free char *url = xasprintf("http://127.0.0.1:%d/", port);
	struct http_request req = {.method = "POST",
				   .url = url,
				   .file_path = w->file,
				   .file_name = "j.png",
				   .content_type = "image/png",
				   .max_reply = 100};
	transport_request(w->f->net, &req, on_got, &g);
	raw_accept(&r, w->f, fd);
	raw_await(&r, "name=\"image\"");
	uv_poll_stop(r.poll);
	live(w->f, 100); /* until nothing more fits into the kernel's buffers */
	raw_send(&r, "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno");
	struct linger cut = {.l_onoff = 1};
	setsockopt(r.fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
	raw_close(&r);
	await(w->f, &g.done);
	check_text(&g, 409, "no");
	close(fd);
	unlink(w->file);
	world_free(w);
}

static void uploads_that_are_broken(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *type, *body;
	} rows[] = {
	    {415, "application/json", "{}"},
	    {415, "text/plain", "x"},
	    {415, "multipart/form-data", "x"},
	    {400, "multipart/form-data; boundary=b",
	     "--b\r\nContent-Disposition: form-data; "
	     "name=\"prompt\"\r\n\r\nx"},
	};
	struct world *w = world_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw r;
		auto_free char *text = xasprintf("POST /upload HTTP/1.1\r\nHost: "
						 "h\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
						 "\r\n%s",
						 rows[i].type, strlen(rows[i].body), rows[i].body);
		raw_connect(&r, w->f);
		raw_send(&r, text);
		raw_await(&r, "\r\n\r\n");
		if (raw_status(&r) != rows[i].status)
			fail_msg("%s %s: %d", rows[i].type, rows[i].body, raw_status(&r));
		raw_close(&r);
	}
	assert_int_equal(w->handled, 0);
	world_free(w);
}

/* The owner answers what it got of a body whose rest the server has refused. */
static void both_answer(void **state)
{
	(void)state;
	static const char body[] =
	    "--b\r\nContent-Disposition: form-data; name=image; filename=f\r\n"
	    "\r\nabc\r\n--bogus\r\n";
	struct world *w = world_new();
	struct raw r;
	w->answer_later = true;
	auto_free char *text =
	    xasprintf("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; "
		      "boundary=b\r\nContent-Length: %zu\r\n\r\n%s",
		      sizeof body - 1, body);
	raw_connect(&r, w->f);
	raw_send(&r, text);
	raw_await(&r, "\r\n\r\n");
	assert_int_equal(raw_status(&r), 400);
	raw_close(&r);
	live(w->f, 10);
	assert_int_equal(w->handled, 0);
	assert_int_equal(w->gone, 1);
	world_free(w);
}

/* Any boundary of the wire's packets: each byte comes alone. */
static void an_upload_byte_by_byte(void **state)
{
	(void)state;
	static const char body[] =
	    "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\n-\r\n--\r\n--c\r\n"
	    "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"f\"\r\n"
	    "Content-Type: image/webp\r\n\r\n\r\n\r\n--\r\n--x\r\n--b--\r\n";
	struct world *w = world_new();
	struct raw r;
	auto_free char *head =
	    xasprintf("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; "
		      "boundary=b\r\nContent-Length: %zu\r\n\r\n",
		      sizeof body - 1);
	raw_connect(&r, w->f);
	raw_send(&r, head);
	for (size_t i = 0; i < sizeof body - 1; i++) {
		raw_send_n(&r, body + i, 1);
		uv_run(&w->f->loop.uv, UV_RUN_NOWAIT);
	}
	raw_await(&r, "\r\n\r\n");
	assert_int_equal(raw_status(&r), 200);
	assert_string_equal(w->seen, "prompt=a\r\n-\r\n--\r\n--c;image:f:image/webp;");
	assert_int_equal(w->bytes, strlen("\r\n\r\n--\r\n--x"));
	raw_close(&r);
	world_free(w);
}

static void the_client_leaves_in_the_middle(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; "
		     "boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\nContent-Disposition: "
		     "form-data; name=\"image\"; filename=\"f\"\r\n\r\nabc");
	live(w->f, 20);
	assert_int_equal(w->begun, 1);
	raw_close(&r);
	live(w->f, 20);
	assert_int_equal(w->gone, 1);
	assert_int_equal(w->handled, 0);
	world_free(w);
}

static void the_server_goes_in_the_middle(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r[2];
	for (int i = 0; i < 2; i++) { /* once while it reads, once while it is paused */
		w->pause = i;
		raw_connect(&r[i], w->f);
		raw_send(&r[i], "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/"
				"form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n"
				"Content-Disposition: form-data; name=\"image\"; filename=\"f\""
				"\r\n\r\nabc");
		live(w->f, 10);
		assert_int_equal(w->begun, i + 1);
	}
	timer_stop(&w->later);
	server_free(w->f->server);
	w->f->server = NULL;
	assert_int_equal(w->gone, 2);
	assert_int_equal(w->handled, 0);
	for (int i = 0; i < 2; i++) {
		raw_await(&r[i], NULL);
		raw_close(&r[i]);
	}
	world_free(w);
}

/* ---- where it listens ---- */

static void only_loopback(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct ifaddrs *all;
	int others = 0;
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		struct sockaddr_in a = *(struct sockaddr_in *)(void *)i->ifa_addr;
		if (ntohl(a.sin_addr.s_addr) == INADDR_LOOPBACK)
			continue;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		a.sin_port = htons((uint16_t)server_port(w->f->server));
		assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
		close(fd);
		others++;
	}
	freeifaddrs(all);
	print_message("%d other addresses refuse\n", others);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)server_port(w->f->server)),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&six, sizeof six), -1);
	close(fd);
	world_free(w);
}

static void a_unix_socket(void **state)
{
	(void)state;
	char dir[] = "/tmp/net-test-XXXXXX", listen_at[128], path[100];
	struct stat st;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/socket", dir);
	snprintf(listen_at, sizeof listen_at, "unix:%s", path);
	/* One that a killed program left behind is no obstacle. */
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stale, (struct sockaddr *)&a, sizeof a), 0);
	close(stale);
	struct world *w = world_at(listen_at, 0);
	assert_int_equal(server_port(w->f->server), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	struct raw r = {.f = w->f, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(connect(r.fd, (struct sockaddr *)&a, sizeof a), 0);
	raw_watch(&r);
	raw_send(&r, "GET /hello/1 HTTP/1.1\r\nHost: h\r\n\r\n");
	raw_await(&r, "\"id\":\"1\"");
	assert_int_equal(raw_status(&r), 200);
	raw_close(&r);
	world_free(w);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(rmdir(dir), 0);
}

/* A file of somebody's at the socket's place stays. */
static void a_file_where_the_socket_should_be(void **state)
{
	(void)state;
	char path[] = "/tmp/net-test-XXXXXX", listen_at[64];
	struct err e = ERR_INIT;
	struct fixture *f = fixture_new();
	close(mkstemp(path));
	snprintf(listen_at, sizeof listen_at, "unix:%s", path);
	struct server_spec spec = {.listen = listen_at};
	assert_null(server_new(&f->loop, &f->log, &spec, &e));
	assert_int_equal(e.code, EADDRINUSE);
	assert_int_equal(unlink(path), 0);
	fixture_free(f);
}

static void addresses_that_are_none(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "",
	    "x",
	    "127.0.0.1",
	    "127.0.0.1:",
	    "127.0.0.1:99999",
	    ":80",
	    "studio.example:80",
	    "127.0.0.1:-1",
	    "[::1:80",
	    "unix:/no/such/folder/socket",
	    "192.0.2.1:0",
	};
	struct fixture *f = fixture_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct server_spec spec = {.listen = rows[i]};
		assert_null(server_new(&f->loop, &f->log, &spec, &e));
		assert_int_not_equal(e.code, 0);
		assert_true(strlen(e.text) > 10);
	}
	fixture_free(f);
}

static void a_port_that_is_taken(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct err e = ERR_INIT;
	auto_free char *at = xasprintf("127.0.0.1:%d", server_port(w->f->server));
	struct server_spec spec = {.listen = at};
	assert_null(server_new(&w->f->loop, &w->f->log, &spec, &e));
	assert_int_equal(e.code, EADDRINUSE);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_handler_sees),
	    cmocka_unit_test(not_found_and_not_allowed),
	    cmocka_unit_test(head_is_get_without_the_body),
	    cmocka_unit_test(bodies_and_their_limits),
	    cmocka_unit_test(chunked_bodies),
	    cmocka_unit_test(refused_while_sending),
	    cmocka_unit_test(answered_later),
	    cmocka_unit_test(client_gives_up),
	    cmocka_unit_test(server_goes_while_one_waits),
	    cmocka_unit_test(client_goes_while_one_waits),
	    cmocka_unit_test(replies_are_capped),
	    cmocka_unit_test(no_answer_is_an_error_in_words),
	    cmocka_unit_test(redirects_are_not_followed),
	    cmocka_unit_test(kept_alive_and_pipelined),
	    cmocka_unit_test(hundred_continue),
	    cmocka_unit_test(broken_requests),
	    cmocka_unit_test(endless_headers),
	    cmocka_unit_test(too_many_connections),
	    cmocka_unit_test(a_file_comes_whole),
	    cmocka_unit_test(uploads),
	    cmocka_unit_test(uploads_that_are_refused),
	    cmocka_unit_test(an_answer_and_a_reset),
	    cmocka_unit_test(uploads_that_are_broken),
	    cmocka_unit_test(both_answer),
	    cmocka_unit_test(an_upload_byte_by_byte),
	    cmocka_unit_test(the_client_leaves_in_the_middle),
	    cmocka_unit_test(the_server_goes_in_the_middle),
	    cmocka_unit_test(only_loopback),
	    cmocka_unit_test(a_unix_socket),
	    cmocka_unit_test(a_file_where_the_socket_should_be),
	    cmocka_unit_test(addresses_that_are_none),
	    cmocka_unit_test(a_port_that_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
