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

struct watch { /* one socket of curl's */
	uv_poll_t poll;
	struct net *net;
	curl_socket_t fd;
};

static void collect(struct net *n)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(n->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		struct transfer *t = NULL;
		CURLcode code = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		t->done(t, code);
	}
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct net *n = w->net;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(n->multi, w->fd, flags, &running);
	collect(n);
}

static void free_watch(uv_handle_t *h)
{
	free(h->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	(void)easy;
	struct net *n = arg;
	struct watch *w = socket_arg;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, free_watch);
			curl_multi_assign(n->multi, fd, NULL);
		}
		return 0;
	}
	if (!w) {
		w = xcalloc(1, sizeof *w);
		w->net = n;
		w->fd = fd;
		w->poll.data = w;
		if (uv_poll_init_socket(&n->loop->uv, &w->poll, fd)) {
			free(w);
			return -1;
		}
		curl_multi_assign(n->multi, fd, w);
	}
	int events =
	    (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	uv_poll_start(&w->poll, events, on_event);
	return 0;
}

static void on_timeout(void *arg)
{
	struct net *n = arg;
	int running;
	curl_multi_socket_action(n->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(n);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	struct net *n = arg;
	if (ms < 0)
		timer_stop(&n->timeout);
	else
		timer_start(&n->timeout, &n->loop->clock, (uint64_t)ms, on_timeout, n);
	return 0;
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

void transfer_init(struct transfer *t, struct net *n, const char *url)
{
	t->net = n;
	t->easy = curl_easy_init();
	if (!t->easy)
		abort(); /* out of memory */
	easy_defaults(t->easy, url, n->user_agent, t->error);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
}

void transfer_start(struct transfer *t)
{
	curl_multi_add_handle(t->net->multi, t->easy);
}

void transfer_fini(struct transfer *t)
{
	if (!t->easy)
		return;
	curl_multi_remove_handle(t->net->multi, t->easy);
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
	n->multi = curl_multi_init();
	curl_multi_setopt(n->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(n->multi, CURLMOPT_SOCKETDATA, n);
	curl_multi_setopt(n->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(n->multi, CURLMOPT_TIMERDATA, n);
	return &n->base;
}

void net_free(struct transport *t)
{
	if (!t)
		return;
	struct net *n = container_of(t, struct net, base);
	exchange_free_all(n);
	ws_client_free_all(n);
	curl_multi_cleanup(n->multi);
	timer_stop(&n->timeout);
	free(n->user_agent);
	free(n);
	curl_global_cleanup();
}
