/* request.c - one HTTP request: its body collected or streamed, its answer given now or later.
 *
 *   headers ──▶ body ──▶ handled ──▶ answered
 *
 * MHD calls request_step() from its state machine; while the handler takes its time the connection
 * is suspended. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/daemon.h"

/* What is read and dropped of a body over its route's limit, so that the client gets to see the
 * answer; beyond it the connection is cut. */
#define MAX_DISCARD (64u << 20)

struct value {
	struct list_node node;
	char *name, *text;
};

struct request *request_new(struct server *s, struct MHD_Connection *c, const char *path,
			    const char *method)
{
	struct request *r = xcalloc(1, sizeof *r);
	r->server = s;
	r->mhd = c;
	r->path = xstrdup(path);
	r->method = xstrdup(method);
	list_init(&r->values);
	list_push_back(&s->requests, &r->node);
	return r;
}

void request_free(struct request *r)
{
	request_limit_stop(r);
	if (r->gone)
		r->gone(r->data);
	list_remove(&r->server->requests, &r->node);
	if (r->socket) /* the client left before the answer to its upgrade was out */
		ws_peer_free(r->socket);
	if (r->multipart)
		multipart_fini(r->multipart);
	free(r->multipart);
	if (r->response)
		MHD_destroy_response(r->response);
	list_each_safe (it, &r->values) {
		struct value *v = list_entry(it, struct value, node);
		free(v->name);
		free(v->text);
		free(v);
	}
	params_fini(&r->params);
	buf_fini(&r->body);
	secret_clear(&r->bearer);
	free(r->path);
	free(r->method);
	free(r);
}

/* ---- accessors ---- */

const char *request_param(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->params.n; i++)
		if (strcmp(r->params.names[i], name) == 0)
			return r->params.values[i];
	return NULL;
}

const char *request_query(const struct request *cr, const char *name)
{
	struct request *r = (struct request *)(uintptr_t)cr; /* the decoded text is cached in it */
	list_each (it, &r->values) {
		struct value *v = list_entry(it, struct value, node);
		if (strcmp(v->name, name) == 0)
			return v->text;
	}
	const char *raw = MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, name);
	char *text = raw ? percent_decode(raw, strlen(raw)) : NULL;
	if (!text)
		return NULL;
	struct value *v = xcalloc(1, sizeof *v);
	v->name = xstrdup(name);
	v->text = text;
	list_push_back(&r->values, &v->node);
	return v->text;
}

const struct secret *request_bearer(const struct request *cr)
{
	struct request *r = (struct request *)(uintptr_t)cr;
	if (!r->bearer_read) {
		const char *h = request_header(r, "Authorization");
		if (h && strncasecmp(h, "Bearer ", 7) == 0)
			secret_set(&r->bearer, h + 7 + strspn(h + 7, " "));
		r->bearer_read = true;
	}
	return &r->bearer;
}

const char *request_header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

const char *request_peer(const struct request *r)
{
	return r->peer;
}

const char *request_body(const struct request *r, size_t *len)
{
	if (len)
		*len = r->body.len;
	return r->body.data ? r->body.data : "";
}

void request_set_data(struct request *r, void *data, void (*gone)(void *data))
{
	r->data = data;
	r->gone = gone;
}

void *request_data(const struct request *r)
{
	return r->data;
}

static void suspend(struct request *r)
{
	if (r->suspended)
		return;
	r->suspended = true;
	request_limit_pause(r);
	MHD_suspend_connection(r->mhd);
}

static void resume(struct request *r)
{
	if (!r->suspended)
		return;
	r->suspended = false;
	request_limit_resume(r);
	MHD_resume_connection(r->mhd);
	server_turn_soon(r->server);
}

void request_pause(struct request *r)
{
	suspend(r);
}

void request_resume(struct request *r)
{
	if (r->phase != PHASE_HANDLED)
		resume(r);
}

/* ---- answers ---- */

static void answer(struct request *r, int status, struct MHD_Response *response)
{
	if (r->refused) { /* for its body, while the owner was busy with the beginning of it */
		MHD_destroy_response(response);
		resume(r);
		return;
	}
	if (r->answered)
		abort(); /* a handler answered twice */
	r->answered = true;
	r->status = status;
	r->response = response;
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (r->phase == PHASE_BODY)
		request_limit_start(r); /* what is left of the body is only dropped */
	if (!r->in_callback)
		resume(r);
}

static struct MHD_Response *text_response(char *text, size_t len, const char *content_type)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", content_type);
	return response;
}

void respond_text(struct request *r, int status, const char *content_type, const char *body,
		  size_t len)
{
	char *copy = xmalloc(len + 1);
	memcpy(copy, body, len);
	answer(r, status, text_response(copy, len, content_type));
}

void respond_json(struct request *r, int status, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(body);
	if (!text)
		text = xstrdup("null");
	answer(r, status, text_response(text, strlen(text), "application/json"));
}

void respond_error(struct request *r, int status, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	json_t *message = json_string(text);
	if (!message) /* not UTF-8: a peer's bytes got into it */
		message = json_string("bad request");
	respond_json(r, status, json_pack("{s:s, s:o}", "error", code, "message", message));
}

/* Only what can't end a header line or the quoted name. */
static char *disposition(const char *name)
{
	char *text = xasprintf("attachment; filename=\"%s\"", name);
	for (char *p = text + strlen("attachment; filename=\""); p[1]; p++)
		if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f)
			*p = '_';
	return text;
}

void respond_file(struct request *r, const char *path, const char *content_type,
		  const char *download_name)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		respond_error(r, 404, "not_found", "the file is not there any more");
		return;
	}
	struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
	MHD_add_response_header(response, "Content-Type", content_type);
	if (download_name) {
		auto_free char *text = disposition(download_name);
		MHD_add_response_header(response, "Content-Disposition", text);
	}
	answer(r, 200, response);
}

/* The server's own answer to a bad body. One of the owner's that comes later is dropped. */
static void refuse(struct request *r, int status, const char *code, const char *text)
{
	respond_error(r, status, code, "%s", text);
	r->refused = true;
}

/* ---- multipart ---- */

static void on_field(void *arg, const char *name, const char *text, size_t len)
{
	struct request *r = arg;
	if (!r->answered && r->route->multipart->field)
		r->route->multipart->field(r, name, text, len);
}

static void on_file(void *arg, const char *name, const char *filename, const char *type)
{
	struct request *r = arg;
	if (!r->answered && r->route->multipart->file)
		r->route->multipart->file(r, name, filename, type);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct request *r = arg;
	if (!r->answered && r->route->multipart->file_data)
		r->route->multipart->file_data(r, data, len);
}

static const struct multipart_sink sink = {on_field, on_file, on_data};

static void start_multipart(struct request *r)
{
	struct err e = ERR_INIT;
	r->multipart = xcalloc(1, sizeof *r->multipart);
	if (multipart_init(r->multipart, request_header(r, "Content-Type"), &sink, r, &e))
		respond_error(r, 415, "bad_request", "%s", e.text);
	else if (r->route->multipart->begin)
		r->route->multipart->begin(r, r->server->spec.arg);
}

static void feed_multipart(struct request *r, const char *data, size_t len)
{
	struct err e = ERR_INIT;
	int rc = multipart_feed(r->multipart, data, len, &e);
	if (rc && !r->answered)
		refuse(r, rc == -EMSGSIZE ? 413 : 400, "bad_request", e.text);
}

/* ---- MHD's calls ---- */

static enum MHD_Result send_answer(struct request *r)
{
	r->done = true;
	return MHD_queue_response(r->mhd, (unsigned)r->status, r->response);
}

static void not_allowed(struct request *r, const char *allow)
{
	respond_error(r, 405, "method_not_allowed", "use %s", allow);
	MHD_add_response_header(r->response, "Allow", allow);
}

/* HEAD is a GET whose body MHD leaves out. */
static bool method_is(const struct request *r, const char *method)
{
	return strcmp(r->method, method) == 0 ||
	       (strcmp(r->method, "HEAD") == 0 && strcmp(method, "GET") == 0);
}

/* Finds the route, or answers 404 or 405. */
static void find_route(struct request *r)
{
	const struct server_spec *spec = &r->server->spec;
	char allow[128] = "";
	for (size_t i = 0; i < spec->n_routes; i++) {
		const struct route *route = &r->server->routes[i];
		params_fini(&r->params);
		if (!router_match(route->pattern, r->path, &r->params))
			continue;
		if (method_is(r, route->method)) {
			r->route = route;
			return;
		}
		if (!strstr(allow, route->method))
			snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s",
				 *allow ? ", " : "", route->method);
	}
	if (*allow)
		not_allowed(r, allow);
	else
		respond_error(r, 404, "not_found", "there is nothing at this path");
}

static bool body_announced_too_long(struct request *r)
{
	const char *text = request_header(r, "Content-Length");
	return text && strtoull(text, NULL, 10) > r->route->max_body;
}

/* What the headers already decide. */
static void begin(struct request *r)
{
	find_route(r);
	if (r->answered)
		return;
	buf_init(&r->body, r->route->max_body);
	if (r->server->spec.gate && !r->server->spec.gate(r, r->route, r->server->spec.arg)) {
		if (!r->answered)
			abort(); /* a gate that refuses answers */
	} else if (body_announced_too_long(r)) {
		respond_error(r, 413, "too_large", "the body may have at most %zu bytes",
			      r->route->max_body);
	} else if (r->route->multipart) {
		start_multipart(r);
	}
}

/* An answer that MHD is given at the headers ends the connection with the body unread: a client
 * that is still sending sees a reset instead of the answer. So the body is read first and dropped,
 * unless the client waits for a word before it sends any. */
static bool body_follows(const struct request *r)
{
	const char *length = request_header(r, "Content-Length");
	const char *expect = request_header(r, "Expect");
	if (expect && strcasecmp(expect, "100-continue") == 0)
		return false;
	return request_header(r, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* Where its body ends nobody knows, so nothing behind it is read. */
static enum MHD_Result malformed(struct request *r)
{
	r->in_callback = true;
	respond_error(r, 400, "bad_request", "the headers are malformed or ambiguous");
	r->in_callback = false;
	MHD_add_response_header(r->response, "Connection", "close");
	return send_answer(r);
}

static enum MHD_Result step_headers(struct request *r)
{
	enum MHD_Result result;
	if (r->malformed)
		return malformed(r);
	if (ws_peer_upgrade(r, &result))
		return result;
	r->in_callback = true;
	if (!r->route && !r->answered)
		begin(r);
	r->in_callback = false;
	if (r->answered && !body_follows(r))
		return send_answer(r);
	if (!r->suspended) {
		r->phase = PHASE_BODY;
		request_limit_start(r);
	}
	return MHD_YES;
}

static void take_body(struct request *r, const char *data, size_t n)
{
	r->in_callback = true;
	if (r->multipart && r->received <= r->route->max_body)
		feed_multipart(r, data, n);
	else if (r->multipart || !buf_add(&r->body, data, n))
		refuse(r, 413, "too_large", "the body is longer than it may be here");
	r->in_callback = false;
}

static enum MHD_Result step_body(struct request *r, const char *data, size_t *size)
{
	size_t n = *size;
	*size = 0;
	r->received += n;
	if (r->received > (r->route ? r->route->max_body : 0) + MAX_DISCARD)
		return MHD_NO;
	if (!r->answered && r->route)
		take_body(r, data, n);
	return MHD_YES;
}

static void handle(struct request *r)
{
	r->phase = PHASE_HANDLED;
	r->in_callback = true;
	if (r->multipart && !multipart_complete(r->multipart))
		refuse(r, 400, "bad_request", "the multipart body is cut");
	else
		r->route->handle(r, r->server->spec.arg);
	r->in_callback = false;
}

static enum MHD_Result step_end(struct request *r)
{
	request_limit_stop(r);
	if (!r->answered && r->phase != PHASE_HANDLED)
		handle(r);
	if (r->answered)
		return send_answer(r);
	suspend(r); /* until the handler answers */
	return MHD_YES;
}

enum MHD_Result request_step(struct request *r, const char *data, size_t *size)
{
	if (r->server->closing)
		return MHD_NO;
	if (r->phase == PHASE_HEADERS)
		return step_headers(r);
	if (*size)
		return step_body(r, data, size);
	return step_end(r);
}
