/* fake_net.c - see fake_net.h: the sockets. HTTP is in fake_http.c.
 * SPDX-License-Identifier: MIT */
#include "tests/fake/fake_net.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/fake/fake_http.h"

/* What travels to an end; the terminal ones are its last. */
enum item_kind { ITEM_OPEN, ITEM_TEXT, ITEM_FAILED, ITEM_CLOSED, ITEM_LOST };
struct item {
	struct list_node node;
	enum item_kind kind;
	uint64_t due_ms;
	int code; /* close code or HTTP status */
	char *text;
	size_t len;
};

struct pipe;
struct end {
	struct conn conn; /* first */
	struct pipe *pipe;
	bool attached; /* somebody listens */
	bool silent;   /* a half-open direction: nothing arrives any more */
	bool over;     /* its last item is on the way */
	struct list inbox;
	struct timer deliver, drain;
};

struct pipe {
	struct list_node node;
	struct fake_client *client;
	struct end near, far; /* the client's end, the studio's */
	bool opened;
	char *url, *subprotocol;
	struct secret bearer;
	struct timer arrive, timeout, reap;
};

static struct end *other_end(struct end *e)
{
	return e == &e->pipe->near ? &e->pipe->far : &e->pipe->near;
}

uint64_t fake_net_hop(struct fake_net *n)
{
	return n->delay ? n->delay(n->delay_arg) : 0;
}

/* ---- life of a pipe ---- */

static void drop_items(struct end *e)
{
	for (struct list_node *n; (n = list_pop_front(&e->inbox));) {
		struct item *it = list_entry(n, struct item, node);
		free(it->text);
		free(it);
	}
}

static void detach(struct end *e)
{
	e->attached = false;
	timer_stop(&e->deliver);
	timer_stop(&e->drain);
	drop_items(e);
}

static void pipe_free(struct pipe *p)
{
	detach(&p->near);
	detach(&p->far);
	timer_stop(&p->arrive);
	timer_stop(&p->timeout);
	timer_stop(&p->reap);
	list_remove(&p->client->pipes, &p->node);
	free(p->url);
	free(p->subprotocol);
	secret_clear(&p->bearer);
	free(p);
}

static void reap(void *arg)
{
	pipe_free(arg);
}

/* Never frees from inside a callback: the caller may be one of the ends. */
static void leave(struct end *e)
{
	struct pipe *p = e->pipe;
	detach(e);
	if (!p->near.attached && !p->far.attached && !timer_running(&p->arrive))
		timer_start(&p->reap, p->client->net->clock, 0, reap, p);
}

/* ---- delivery ---- */

/* Whoever watches sees a text leave (e: its sender) or arrive (e: its receiver). */
static char *tap(struct end *e, bool arrives, const char *text, size_t len)
{
	struct fake_client *c = e->pipe->client;
	if (!c->net->tap)
		return NULL;
	bool near = e == &e->pipe->near;
	return c->net->tap(c->net->tap_arg, c, near == arrives, arrives, text, len);
}

static void tell(struct end *e, const struct item *it)
{
	static const enum conn_end_kind kinds[] = {
	    [ITEM_FAILED] = CONN_FAILED,
	    [ITEM_CLOSED] = CONN_CLOSED,
	    [ITEM_LOST] = CONN_LOST,
	};
	const struct conn_events *ev = e->conn.events;
	void *arg = e->conn.arg;
	if (it->kind == ITEM_OPEN) {
		timer_stop(&e->pipe->timeout);
		if (ev && ev->open)
			ev->open(arg);
		return;
	}
	if (it->kind == ITEM_TEXT) {
		tap(e, true, it->text, it->len);
		if (ev && ev->text)
			ev->text(arg, it->text, it->len);
		return;
	}
	struct conn_end end = {.kind = kinds[it->kind], .text = it->text ? it->text : ""};
	if (it->kind == ITEM_FAILED)
		end.http_status = it->code;
	else if (it->kind == ITEM_CLOSED)
		end.close_code = it->code;
	leave(e);
	if (e == &e->pipe->near)
		timer_stop(&e->pipe->timeout);
	if (ev && ev->end)
		ev->end(arg, &end);
}

static void deliver(void *arg);

static void wait_next(struct end *e)
{
	struct list_node *n = list_first(&e->inbox);
	if (!n || timer_running(&e->deliver))
		return;
	struct clock *clock = e->pipe->client->net->clock;
	uint64_t now = clock_now(clock), due = list_entry(n, struct item, node)->due_ms;
	timer_start(&e->deliver, clock, due > now ? due - now : 0, deliver, e);
}

static void deliver(void *arg)
{
	struct end *e = arg;
	struct item *it = list_entry(list_pop_front(&e->inbox), struct item, node);
	/* The callback may close the end; the pipe itself outlives it. */
	wait_next(e);
	tell(e, it);
	free(it->text);
	free(it);
}

static uint64_t last_due(const struct end *e)
{
	if (list_empty(&e->inbox))
		return 0;
	return list_entry(e->inbox.head.prev, struct item, node)->due_ms;
}

static void push(struct end *to, enum item_kind kind, int code, const char *text, size_t len)
{
	struct fake_client *c = to->pipe->client;
	if (to == &to->pipe->far ? c->mute : c->deaf)
		to->silent = true;
	if (!to->attached || to->silent || to->over)
		return;
	struct item *it = xcalloc(1, sizeof *it);
	uint64_t due = clock_now(c->net->clock) + fake_net_hop(c->net), floor = last_due(to);
	it->kind = kind;
	it->due_ms = due > floor ? due : floor;
	it->code = code;
	it->text = text ? xstrndup(text, len) : NULL;
	it->len = len;
	to->over = kind == ITEM_FAILED || kind == ITEM_CLOSED || kind == ITEM_LOST;
	list_push_back(&to->inbox, &it->node);
	wait_next(to);
}

static void push_text(struct end *to, enum item_kind kind, int code, const char *text)
{
	push(to, kind, code, text, strlen(text));
}

/* ---- the conn's operations ---- */

static void drained(void *arg)
{
	struct end *e = arg;
	if (e->conn.events && e->conn.events->drained)
		e->conn.events->drained(e->conn.arg);
}

static int send_text(struct conn *c, const char *text, size_t len, struct err *err)
{
	struct end *e = container_of(c, struct end, conn);
	struct fake_client *client = e->pipe->client;
	if (e == &e->pipe->near && client->refuse_sends)
		return err_set(err, ENOTCONN, "the socket is gone");
	auto_free char *instead = tap(e, false, text, len);
	push(other_end(e), ITEM_TEXT, 0, instead ? instead : text, instead ? strlen(instead) : len);
	if (!timer_running(&e->drain))
		timer_start(&e->drain, client->net->clock, 0, drained, e);
	return 0;
}

static void close_conn(struct conn *c, int code, const char *reason)
{
	struct end *e = container_of(c, struct end, conn);
	struct pipe *p = e->pipe;
	if (e == &p->near) {
		timer_stop(&p->timeout);
		if (!p->opened)
			timer_stop(&p->arrive);
	}
	push_text(other_end(e), ITEM_CLOSED, code, reason ? reason : "");
	leave(e);
}

/* ---- connecting ---- */

static void attach(struct end *e, struct pipe *p)
{
	e->conn.ops = p->client->transport.ops;
	e->pipe = p;
	e->attached = true;
	list_init(&e->inbox);
}

static void fail(struct pipe *p, int status, const char *text)
{
	push_text(&p->near, ITEM_FAILED, status, text);
	if (!p->near.attached)
		leave(&p->near);
}

static void open_far(struct pipe *p, const struct connect_request *r)
{
	struct fake_net *n = p->client->net;
	p->opened = true;
	attach(&p->far, p);
	push(&p->near, ITEM_OPEN, 0, NULL, 0);
	if (n->server && n->server->open)
		n->server->open(n->server_arg, &p->far.conn, r);
}

/* The upgrade request reached the studio. */
static void arrive(void *arg)
{
	struct pipe *p = arg;
	struct fake_net *n = p->client->net;
	struct connect_request r = {p->url, &p->bearer, p->subprotocol, 0};
	if (p->client->mute)
		return;
	if (!n->server) {
		fail(p, 0, "connection refused");
		return;
	}
	int status = n->server->check ? n->server->check(n->server_arg, &r) : 0;
	if (status)
		fail(p, status, "the upgrade was refused");
	else
		open_far(p, &r);
}

static void time_out(void *arg)
{
	struct pipe *p = arg;
	if (p->opened)
		push_text(&p->far, ITEM_LOST, 0, "connection lost");
	timer_stop(&p->arrive);
	drop_items(&p->near);
	timer_stop(&p->near.deliver);
	struct item it = {.kind = ITEM_FAILED, .text = (char[]){"timed out"}};
	tell(&p->near, &it);
}

static struct pipe *pipe_new(struct fake_client *c, const struct conn_events *ev, void *arg)
{
	struct pipe *p = xcalloc(1, sizeof *p);
	p->client = c;
	p->far.pipe = p;
	list_init(&p->far.inbox);
	attach(&p->near, p);
	p->near.conn.events = ev;
	p->near.conn.arg = arg;
	list_push_back(&c->pipes, &p->node);
	c->connects++;
	return p;
}

static struct conn *connect_client(struct transport *t, const struct connect_request *r,
				   const struct conn_events *ev, void *arg)
{
	struct fake_client *c = container_of(t, struct fake_client, transport);
	struct pipe *p = pipe_new(c, ev, arg);
	p->url = xstrdup(r->url);
	p->subprotocol = xstrdup_opt(r->subprotocol);
	if (r->bearer)
		secret_copy(&p->bearer, r->bearer);
	timer_start(&p->arrive, c->net->clock, fake_net_hop(c->net), arrive, p);
	if (r->timeout_ms)
		timer_start(&p->timeout, c->net->clock, r->timeout_ms, time_out, p);
	return &p->near.conn;
}

static const struct transport_ops ops = {
    .name = "fake",
    .connect = connect_client,
    .send = send_text,
    .close = close_conn,
    .request = fake_http_request,
    .cancel = fake_http_cancel,
};

struct conn *fake_client_dial(struct fake_client *c, const struct conn_events *ev, void *arg,
			      struct conn **far)
{
	struct pipe *p = pipe_new(c, ev, arg);
	p->opened = true;
	attach(&p->far, p);
	*far = &p->near.conn;
	return &p->far.conn;
}

/* ---- clients ---- */

void fake_net_init(struct fake_net *n, struct clock *clock)
{
	*n = (struct fake_net){.clock = clock};
	list_init(&n->clients);
}

void fake_net_fini(struct fake_net *n)
{
	while (!list_empty(&n->clients))
		fake_client_free(list_entry(list_first(&n->clients), struct fake_client, node));
}

struct fake_client *fake_client_new(struct fake_net *n)
{
	struct fake_client *c = xcalloc(1, sizeof *c);
	c->transport.ops = &ops;
	c->net = n;
	list_init(&c->pipes);
	list_init(&c->exchanges);
	list_push_back(&n->clients, &c->node);
	return c;
}

void fake_client_free(struct fake_client *c)
{
	if (!c)
		return;
	while (!list_empty(&c->pipes))
		pipe_free(list_entry(list_first(&c->pipes), struct pipe, node));
	fake_http_free_all(c);
	list_remove(&c->net->clients, &c->node);
	free(c);
}

static struct conn *newest(struct fake_client *c, bool near)
{
	struct conn *found = NULL;
	list_each (n, &c->pipes) {
		struct pipe *p = list_entry(n, struct pipe, node);
		struct end *e = near ? &p->near : &p->far;
		if (e->attached)
			found = &e->conn;
	}
	return found;
}

struct conn *fake_client_conn(struct fake_client *c)
{
	return newest(c, true);
}

struct conn *fake_server_conn(struct fake_client *c)
{
	return newest(c, false);
}

/* ---- faults ---- */

/* What is on the way is lost, the end hears of it. */
static void lose(struct end *e)
{
	if (!e->attached)
		return;
	timer_stop(&e->deliver);
	drop_items(e);
	e->over = false;
	push_text(e, ITEM_LOST, 0, "connection lost");
}

static void forget(struct end *e)
{
	if (e->attached)
		leave(e);
}

void fake_client_cut(struct fake_client *c)
{
	list_each (n, &c->pipes) {
		struct pipe *p = list_entry(n, struct pipe, node);
		if (timer_running(&p->arrive)) {
			timer_stop(&p->arrive);
			fail(p, 0, "connection reset");
			continue;
		}
		lose(&p->near);
		lose(&p->far);
	}
	fake_http_cut(c);
}

void fake_client_crash(struct fake_client *c)
{
	list_each (n, &c->pipes) {
		struct pipe *p = list_entry(n, struct pipe, node);
		timer_stop(&p->arrive);
		timer_stop(&p->timeout);
		forget(&p->near);
		lose(&p->far);
	}
	fake_http_crash_client(c);
}

void fake_net_crash_server(struct fake_net *n)
{
	n->server = NULL;
	list_each (cn, &n->clients) {
		struct fake_client *c = list_entry(cn, struct fake_client, node);
		list_each (pn, &c->pipes) {
			struct pipe *p = list_entry(pn, struct pipe, node);
			if (!p->opened)
				continue;
			forget(&p->far);
			lose(&p->near);
		}
		fake_http_crash_server(c);
	}
}
