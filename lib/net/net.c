/* net.c - the real transport: libcurl's multi interface driven by the loop (uv_poll for its
 * sockets, a timer of the clock for its time-outs). WebSockets use the same library for the way to
 * the peer (name, TCP, proxy, TLS) and their own framing above it, so that one policy for proxies
 * and certificates holds for both, and only one TLS stack is in memory. SPDX-License-Identifier:
 * MIT */
#include "lib/net/net.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/net/client.h"
#include "lib/net/ws_stream.h"

/* What lies between cuts connections that are idle for long, often without a word. */
#define MAX_AGE_S 60L

struct watch { /* one socket of curl's */
	uv_poll_t poll;
	struct multi *multi;
	curl_socket_t fd;
	int events;
};

static void collect(struct multi *m)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(m->curl, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		struct transfer *t = NULL;
		CURLcode code = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		t->done(t, code);
	}
}

/* A broken connection (status < 0) may still hold an answer: curl is to read it first, and libuv,
 * which stops watching then, to go on. */
static void on_event(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct multi *m = w->multi;
	int flags = status < 0 ? CURL_CSELECT_IN : 0, running;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(m->curl, w->fd, flags, &running);
	if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
		uv_poll_start(poll, w->events, on_event);
	collect(m);
}

static void free_watch(uv_handle_t *h)
{
	free(h->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	(void)easy;
	struct multi *m = arg;
	struct watch *w = socket_arg;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, free_watch);
			curl_multi_assign(m->curl, fd, NULL);
		}
		return 0;
	}
	if (!w) {
		w = xcalloc(1, sizeof *w);
		w->multi = m;
		w->fd = fd;
		w->poll.data = w;
		if (uv_poll_init_socket(&m->loop->uv, &w->poll, fd)) {
			free(w);
			return -1;
		}
		curl_multi_assign(m->curl, fd, w);
	}
	w->events =
	    (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	uv_poll_start(&w->poll, w->events, on_event);
	return 0;
}

static void on_timeout(void *arg)
{
	struct multi *m = arg;
	int running;
	curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(m);
}

static int on_timer(CURLM *curl, long ms, void *arg)
{
	(void)curl;
	struct multi *m = arg;
	if (ms < 0)
		timer_stop(&m->timeout);
	else
		timer_start(&m->timeout, &m->loop->clock, (uint64_t)ms, on_timeout, m);
	return 0;
}

void multi_init(struct multi *m, struct loop *l)
{
	m->loop = l;
	m->curl = curl_multi_init();
	if (!m->curl)
		abort(); /* out of memory */
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
}

void multi_fini(struct multi *m)
{
	curl_multi_cleanup(m->curl);
	timer_stop(&m->timeout);
}

/* libcurl reads http_proxy in lower case only, since a CGI program gets the upper-case one from its
 * client's headers; this program is no CGI program, and owners set either. */
static const char *env_either(const char *lower, const char *upper)
{
	const char *v = getenv(lower);
	if (!v || !*v)
		v = getenv(upper);
	return v && *v ? v : NULL;
}

void easy_defaults(CURL *easy, const char *url, const char *user_agent, char *error)
{
	error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
			 1L); /* a slow resolver never delays a shutdown */
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	if (user_agent)
		curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
	if (env_either("SSL_CERT_FILE", "SSL_CERT_FILE"))
		curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("SSL_CERT_FILE"));
	if (env_either("SSL_CERT_DIR", "SSL_CERT_DIR"))
		curl_easy_setopt(easy, CURLOPT_CAPATH, getenv("SSL_CERT_DIR"));
	if (strncmp(url, "http:", 5) == 0 && !getenv("http_proxy") &&
	    env_either("http_proxy", "HTTP_PROXY"))
		curl_easy_setopt(easy, CURLOPT_PROXY, getenv("HTTP_PROXY"));
}

void transfer_init(struct transfer *t, struct net *n, struct multi *m, const char *url)
{
	t->net = n;
	t->multi = m;
	t->easy = curl_easy_init();
	if (!t->easy)
		abort(); /* out of memory */
	easy_defaults(t->easy, url, n->user_agent, t->error);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
}

static void start_later(void *arg)
{
	transfer_start(arg);
}

void transfer_start(struct transfer *t)
{
	if (curl_multi_add_handle(t->multi->curl, t->easy) == CURLM_RECURSIVE_API_CALL)
		timer_start(&t->later, &t->multi->loop->clock, 0, start_later, t);
}

bool transfer_stop(struct transfer *t)
{
	timer_stop(&t->later);
	return curl_multi_remove_handle(t->multi->curl, t->easy) != CURLM_RECURSIVE_API_CALL;
}

void transfer_fini(struct transfer *t)
{
	if (!t->easy)
		return;
	timer_stop(&t->later);
	curl_multi_remove_handle(t->multi->curl, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
}

const char *transfer_error(const struct transfer *t, CURLcode code)
{
	return t->error[0] ? t->error : curl_easy_strerror(code);
}

static const struct transport_ops net_ops = {
    .name = "net",
    .connect = ws_client_connect,
    .send = ws_stream_send,
    .close = ws_stream_close,
    .request = exchange_start,
    .cancel = exchange_cancel,
};

struct transport *net_new(struct loop *l, struct log *log, const char *user_agent, struct err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		err_set(e, EIO, "libcurl can't be initialised");
		return NULL;
	}
	struct net *n = xcalloc(1, sizeof *n);
	n->base.ops = &net_ops;
	n->loop = l;
	n->log = log;
	n->user_agent = xstrdup(user_agent);
	list_init(&n->transfers);
	list_init(&n->sockets);
	list_init(&n->fetches);
	n->max_age_s = MAX_AGE_S;
	multi_init(&n->multi, l);
	return &n->base;
}

void net_free(struct transport *t)
{
	if (!t)
		return;
	struct net *n = container_of(t, struct net, base);
	exchange_free_all(n);
	fetch_free_all(n);
	ws_client_free_all(n);
	multi_fini(&n->multi);
	free(n->user_agent);
	free(n);
	curl_global_cleanup();
}
