/* serve.c - see serve.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/onnx/serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/server.h"
#include "lib/wire/frame.h"
#include "worker/engine/onnx/lama.h"

#define KEY_MAX	 256
#define BODY_MAX (64u << 10)
#define PEERS	 4

struct helper {
	struct loop loop;
	struct log log;
	struct server *server;
	struct secret key;
	struct ort *ort;
	struct ort_session *model;
	bool busy;
};

struct options {
	const char *library, *model, *port, *key;
};

/* One request's computation, in the pool. */
struct painting {
	struct work work;
	struct helper *helper;
	struct request *request; /* NULL once its client left */
	json_t *json;		 /* the paths lie in it */
	struct lama_job job;
	int rc;
	struct err err;
};

static void get_health(struct request *r, void *arg)
{
	struct helper *h = arg;
	respond_json(r, 200, json_pack("{s:s}", "version", ort_version(h->ort)));
}

static void paint(struct work *w)
{
	struct painting *p = container_of(w, struct painting, work);
	p->rc = lama_run(p->helper->model, &p->job, &p->err);
}

static void painted(struct work *w)
{
	struct painting *p = container_of(w, struct painting, work);
	p->helper->busy = false;
	if (p->request) {
		request_set_data(p->request, NULL, NULL);
		if (p->rc == 0)
			respond_json(p->request, 200, json_object());
		else
			respond_error(p->request, p->rc == -EIO ? 500 : 422, "inpaint_failed", "%s",
				      p->err.text);
	}
	json_decref(p->json);
	free(p);
}

static void client_left(void *data)
{
	((struct painting *)data)->request = NULL;
}

static const char *path_of(const json_t *o, const char *key)
{
	const char *path = json_string_value(json_object_get(o, key));
	return path && path[0] == '/' ? path : NULL;
}

static bool read_job(struct painting *p)
{
	p->job = (struct lama_job){
	    .image = path_of(p->json, "image"),
	    .mask = path_of(p->json, "mask"),
	    .output = path_of(p->json, "output"),
	    .ext = json_string_value(json_object_get(p->json, "ext")),
	};
	return p->job.image && p->job.mask && p->job.output && p->job.ext;
}

static void post_inpaint(struct request *r, void *arg)
{
	struct helper *h = arg;
	size_t len;
	const char *body = request_body(r, &len);
	struct painting *p = xcalloc(1, sizeof *p);
	p->work = (struct work){.run = paint, .after = painted};
	p->helper = h;
	p->request = r;
	p->json = json_parse(body, len, &p->err);
	if (h->busy) {
		respond_error(r, 503, "busy", "one picture at a time");
	} else if (!p->json || !read_job(p)) {
		respond_error(r, 400, "bad_request",
			      "image, mask, output (absolute paths) and ext are needed");
	} else {
		h->busy = true;
		request_set_data(r, p, client_left);
		pool_submit(&h->loop.pool, &p->work);
		return;
	}
	json_decref(p->json);
	free(p);
}

static bool gate(struct request *r, const struct route *route, void *arg)
{
	struct helper *h = arg;
	const struct secret *bearer = request_bearer(r);
	(void)route;
	if (bearer && secret_equal(bearer, &h->key))
		return true;
	respond_error(r, 401, "unauthorized", "the key is wrong or missing");
	return false;
}

static int listen_on(struct helper *h, const char *port, struct err *e)
{
	static const struct route routes[] = {
	    {"GET", "/health", 0, get_health, NULL},
	    {"POST", "/inpaint", BODY_MAX, post_inpaint, NULL},
	};
	auto_free char *address = xasprintf("127.0.0.1:%s", port);
	struct server_spec spec = {
	    .listen = address,
	    .routes = routes,
	    .n_routes = ARRAY_LEN(routes),
	    .gate = gate,
	    .arg = h,
	    .max_connections = PEERS,
	};
	h->server = server_new(&h->loop, &h->log, &spec, e);
	return h->server ? 0 : -e->code;
}

/* Half of the machine's cores: it is its owner's. */
static int threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;
	return n > 1 ? (int)n : 1;
}

static int read_key(struct helper *h, const char *path, struct err *e)
{
	char *text = NULL;
	size_t len;
	int rc = fs_read(path, KEY_MAX, &text, &len, e);
	if (rc < 0)
		return rc;
	text[strcspn(text, "\r\n")] = '\0';
	secret_set(&h->key, text);
	explicit_bzero(text, len);
	free(text);
	return 0;
}

static int open_all(struct helper *h, const struct options *o, struct err *e)
{
	int rc = read_key(h, o->key, e);
	if (rc < 0)
		return rc;
	h->ort = ort_open(o->library, e);
	if (!h->ort)
		return -e->code;
	h->model = ort_load(h->ort, o->model, threads(), e);
	return h->model ? listen_on(h, o->port, e) : -e->code;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static int serve(const struct options *o)
{
	struct helper h = {0};
	struct err e = ERR_INIT;
	if (loop_init(&h.loop, &e) < 0)
		return 1;
	log_init(&h.log, &h.loop.clock);
	int rc = open_all(&h, o, &e);
	if (rc == 0) {
		loop_on_stop(&h.loop, stop, &h.loop);
		loop_run(&h.loop);
	} else {
		fprintf(stderr, "error: %s\n", e.text);
	}
	if (h.server)
		server_free(h.server);
	/* A computation that still runs uses the model: the process ends with both. */
	fflush(NULL);
	_exit(rc < 0);
}

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 0; i + 1 < argc; i += 2) {
		const struct {
			const char *name, **value;
		} known[] = {
		    {"--library", &o->library},
		    {"--model", &o->model},
		    {"--port", &o->port},
		    {"--key", &o->key},
		};
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			if (strcmp(argv[i], known[k].name) == 0)
				*known[k].value = argv[i + 1];
	}
	return o->library && o->model && o->port && o->key;
}

int onnx_serve(int argc, char **argv)
{
	struct options o = {0};
	if (parse(argc, argv, &o))
		return serve(&o);
	fputs("error: --library, --model, --port and --key are needed; this is started by the "
	      "worker itself\n",
	      stderr);
	return 2;
}
