/* fake_http.c - HTTP exchanges in memory: the request reaches the studio whole, the answer comes
 * back, and either way may be cut or swallowed. SPDX-License-Identifier: MIT */
#include "tests/fake/fake_http.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define STALL_MS 30000
#define FILE_MAX (64u << 20)

struct exchange {
	struct list_node node;
	struct fake_client *client;
	http_done *done; /* NULL: nobody waits any more */
	void *done_arg;
	bool served; /* the studio has it and has not answered */
	struct fake_request request;
	char *method, *url, *json, *prompt, *ext, *file_name, *file_path, *file;
	int status;
	char *body;
	struct timer travel, stall;
};

static void exchange_free(struct exchange *x)
{
	list_remove(&x->client->exchanges, &x->node);
	timer_stop(&x->travel);
	timer_stop(&x->stall);
	char *all[] = {x->method,    x->url,	   x->json, x->prompt, x->ext,
		       x->file_name, x->file_path, x->file, x->body};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	secret_clear(&x->request.bearer);
	free(x);
}

/* Tells the client, once; the memory goes when the studio is through with it too. */
static void finish(struct exchange *x, const struct http_reply *reply)
{
	http_done *done = x->done;
	void *arg = x->done_arg;
	x->done = NULL;
	timer_stop(&x->stall);
	timer_stop(&x->travel);
	if (done)
		done(arg, reply);
}

static void drop_server(struct exchange *x)
{
	if (!x->served)
		return;
	x->served = false;
	if (x->request.gone)
		x->request.gone(x->request.arg);
}

static void fail(struct exchange *x, int code, const char *text)
{
	struct http_reply reply = {.body = ""};
	err_set(&reply.err, code, "%s", text);
	finish(x, &reply);
}

static void break_off(void *arg)
{
	struct exchange *x = arg;
	drop_server(x);
	fail(x, ECONNRESET, "connection reset");
	exchange_free(x);
}

static void stalled(void *arg)
{
	struct exchange *x = arg;
	drop_server(x);
	fail(x, ETIMEDOUT, "timed out");
	exchange_free(x);
}

static void answered(void *arg)
{
	struct exchange *x = arg;
	struct http_reply reply = {.status = x->status, .body = x->body, .len = strlen(x->body)};
	finish(x, &reply);
	exchange_free(x);
}

void fake_request_answer(struct fake_request *r, int status, const char *body)
{
	struct exchange *x = container_of(r, struct exchange, request);
	struct fake_net *n = x->client->net;
	x->served = false;
	x->status = status;
	x->body = xstrdup(body ? body : "");
	if (!x->done)
		timer_start(&x->travel, n->clock, 0, answered, x);
	else if (!x->client->deaf)
		timer_start(&x->travel, n->clock, fake_net_hop(n), answered, x);
}

static bool load_file(struct exchange *x)
{
	struct err e = ERR_INIT;
	if (!x->file_path)
		return true;
	if (fs_read(x->file_path, FILE_MAX, &x->file, &x->request.file_len, &e))
		return false;
	x->request.file = x->file;
	return true;
}

static void arrive(void *arg)
{
	struct exchange *x = arg;
	struct fake_net *n = x->client->net;
	if (x->client->mute)
		return;
	if (!load_file(x)) {
		fail(x, EIO, "can't read the file to send");
		exchange_free(x);
		return;
	}
	if (!n->server) {
		fail(x, ECONNREFUSED, "connection refused");
		exchange_free(x);
		return;
	}
	x->served = true;
	if (n->server->request)
		n->server->request(n->server_arg, &x->request);
	else
		fake_request_answer(&x->request, 404, "{}");
}

struct exchange *fake_http_request(struct transport *t, const struct http_request *r,
				   http_done *done, void *arg)
{
	struct fake_client *c = container_of(t, struct fake_client, transport);
	struct exchange *x = xcalloc(1, sizeof *x);
	*x = (struct exchange){
	    .client = c,
	    .done = done,
	    .done_arg = arg,
	    .method = xstrdup(r->method),
	    .url = xstrdup(r->url),
	    .json = xstrdup_opt(r->json),
	    .prompt = xstrdup_opt(r->prompt),
	    .ext = xstrdup_opt(r->ext),
	    .file_name = xstrdup_opt(r->file_name),
	    .file_path = xstrdup_opt(r->file_path),
	};
	if (r->bearer)
		secret_copy(&x->request.bearer, r->bearer);
	x->request.method = x->method;
	x->request.url = x->url;
	x->request.json = x->json;
	x->request.prompt = x->prompt;
	x->request.ext = x->ext;
	x->request.file_name = x->file_name;
	list_push_back(&c->exchanges, &x->node);
	c->requests++;
	timer_start(&x->travel, c->net->clock, fake_net_hop(c->net), arrive, x);
	timer_start(&x->stall, c->net->clock, r->timeout_ms ? r->timeout_ms : STALL_MS, stalled, x);
	return x;
}

void fake_http_cancel(struct exchange *x)
{
	x->done = NULL;
	timer_stop(&x->stall);
	timer_start(&x->travel, x->client->net->clock, 0, break_off, x);
}

void fake_http_cut(struct fake_client *c)
{
	list_each (n, &c->exchanges) {
		struct exchange *x = list_entry(n, struct exchange, node);
		timer_start(&x->travel, c->net->clock, 0, break_off, x);
	}
}

void fake_http_crash_client(struct fake_client *c)
{
	list_each (n, &c->exchanges)
		list_entry(n, struct exchange, node)->done = NULL;
	fake_http_cut(c);
}

void fake_http_crash_server(struct fake_client *c)
{
	list_each (n, &c->exchanges) {
		struct exchange *x = list_entry(n, struct exchange, node);
		x->served = false;
		timer_start(&x->travel, c->net->clock, 0, break_off, x);
	}
}

void fake_http_free_all(struct fake_client *c)
{
	while (!list_empty(&c->exchanges))
		exchange_free(list_entry(list_first(&c->exchanges), struct exchange, node));
}
