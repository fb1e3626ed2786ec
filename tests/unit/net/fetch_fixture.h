/* fetch_fixture.h - a server that answers by hand, written bytes and all, in a thread of its own,
 * and a receiver that writes down what it hears. SPDX-License-Identifier: MIT */
#ifndef TESTS_FETCH_FIXTURE_H
#define TESTS_FETCH_FIXTURE_H

#include "tests/unit/net/net_fixture.h"

#include <pthread.h>

#include "lib/net/fetch.h"

/* One connection after the other, each in its thread; a connection serves one request. */
struct origin_server {
	int fd, port;
	pthread_t thread;
	/* Writes the answer to `fd`; the request's head and what came of its body is in text. */
	void (*answer)(struct origin_server *o, int fd, const char *text);
	char last[65536]; /* the last request; read it after the exchange */
	int requests, open;
	pthread_mutex_t lock;
	pthread_cond_t closed;
};

static MAYBE_UNUSED void say(int fd, const char *text)
{
	size_t len = strlen(text);
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static MAYBE_UNUSED void say_fmt(int fd, const char *fmt, ...) PRINTF_LIKE(2, 3);
static MAYBE_UNUSED void say_fmt(int fd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	say(fd, text);
}

/* Until the client leaves: the way to hang without a time. */
static MAYBE_UNUSED void until_gone(int fd)
{
	char c[4096];
	while (recv(fd, c, sizeof c, 0) > 0)
		;
}

struct accepted {
	struct origin_server *o;
	int fd;
};

static void *serve_one(void *arg)
{
	struct accepted *a = arg;
	char text[65536];
	size_t len = 0;
	text[0] = '\0';
	while (!strstr(text, "\r\n\r\n") && len < sizeof text - 1) {
		ssize_t n = recv(a->fd, text + len, sizeof text - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
	}
	pthread_mutex_lock(&a->o->lock);
	memcpy(a->o->last, text, len + 1);
	a->o->requests++;
	pthread_mutex_unlock(&a->o->lock);
	a->o->answer(a->o, a->fd, text);
	shutdown(a->fd, SHUT_RDWR);
	close(a->fd);
	pthread_mutex_lock(&a->o->lock);
	a->o->open--;
	pthread_cond_signal(&a->o->closed);
	pthread_mutex_unlock(&a->o->lock);
	free(a);
	return NULL;
}

static void *serve(void *arg)
{
	struct origin_server *o = arg;
	for (;;) {
		int fd = accept4(o->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		struct accepted *a = xcalloc(1, sizeof *a);
		*a = (struct accepted){o, fd};
		pthread_mutex_lock(&o->lock);
		o->open++;
		pthread_mutex_unlock(&o->lock);
		pthread_t t;
		pthread_create(&t, NULL, serve_one, a);
		pthread_detach(t);
	}
}

static MAYBE_UNUSED struct origin_server *
origin_server_new(void (*answer)(struct origin_server *o, int fd, const char *text))
{
	struct origin_server *o = xcalloc(1, sizeof *o);
	o->answer = answer;
	o->fd = listen_any(&o->port);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->closed, NULL);
	pthread_create(&o->thread, NULL, serve, o);
	return o;
}

/* Once its clients have gone. */
static MAYBE_UNUSED void origin_server_free(struct origin_server *o)
{
	shutdown(o->fd, SHUT_RDWR);
	pthread_join(o->thread, NULL);
	close(o->fd);
	pthread_mutex_lock(&o->lock);
	while (o->open)
		pthread_cond_wait(&o->closed, &o->lock);
	pthread_mutex_unlock(&o->lock);
	free(o);
}

static MAYBE_UNUSED bool asked(struct origin_server *o, const char *what)
{
	pthread_mutex_lock(&o->lock);
	bool found = strcasestr(o->last, what) != NULL;
	pthread_mutex_unlock(&o->lock);
	return found;
}

/* ---- what a fetch brings ---- */

struct heard {
	struct fetch *fetch;
	struct buf body;
	struct fetch_end end;
	struct fetch_head head;
	char etag[64], url[256];
	int heads, ends, pauses;
	bool done;
	/* what the callbacks do */
	bool stop_at_head, stop_at_data, cancel_at_head, cancel_at_data, cancel_at_end;
	bool pause, resume_inside;
	struct timer later;
	struct fixture *f;
};

static bool heard_head(void *arg, const struct fetch_head *h)
{
	struct heard *g = arg;
	assert_int_equal(g->body.len, 0);
	g->heads++;
	g->head = *h;
	snprintf(g->etag, sizeof g->etag, "%s", h->etag ? h->etag : "");
	snprintf(g->url, sizeof g->url, "%s", h->url);
	if (g->cancel_at_head)
		fetch_cancel(g->fetch);
	return !g->stop_at_head;
}

static void resume_now(void *arg)
{
	struct heard *g = arg;
	fetch_resume(g->fetch);
}

static enum fetch_verdict heard_data(void *arg, const void *data, size_t len)
{
	struct heard *g = arg;
	assert_int_equal(g->heads, 1);
	if (g->cancel_at_data)
		fetch_cancel(g->fetch);
	if (g->stop_at_data)
		return FETCH_STOP;
	if (g->pause) {
		g->pause = false;
		g->pauses++;
		if (g->resume_inside)
			fetch_resume(g->fetch);
		else
			timer_start(&g->later, &g->f->loop.clock, 30, resume_now, g);
		return FETCH_PAUSE;
	}
	assert_true(buf_add(&g->body, data, len));
	if (g->pauses)
		g->pause = g->pauses < 20; /* each piece is held back once */
	return FETCH_GO;
}

static void heard_end(void *arg, const struct fetch_end *end)
{
	struct heard *g = arg;
	g->ends++;
	g->end = *end;
	g->done = true;
	if (g->cancel_at_end)
		fetch_cancel(g->fetch);
}

static const struct fetch_events heard_events = {heard_head, heard_data, heard_end};

static MAYBE_UNUSED void hear_start(struct fixture *f, const struct fetch_request *r,
				    struct heard *g)
{
	g->f = f;
	buf_init(&g->body, 256u << 20);
	g->fetch = fetch_start(f->net, r, &heard_events, g);
	assert_int_equal(g->heads + g->ends, 0);
}

static MAYBE_UNUSED void hear(struct fixture *f, const struct fetch_request *r, struct heard *g)
{
	hear_start(f, r, g);
	await(f, &g->done);
	assert_int_equal(g->ends, 1);
}

static MAYBE_UNUSED void heard_fini(struct heard *g)
{
	timer_stop(&g->later);
	buf_fini(&g->body);
}

/* Everything loopback is allowed: its studio lives there. */
static const struct fetch_policy at_home MAYBE_UNUSED = {.studio_origin = "http://127.0.0.1:1"};

#endif
