/* server.c - the server's life: its socket, MHD on the loop, connections that never send a request.
 *
 * libmicrohttpd parses and answers HTTP; it runs without threads, its epoll descriptor watched by
 * the loop. It speaks HTTP/1.1 only, so there is no h2c to refuse, and it hands upgraded sockets
 * over to us. SPDX-License-Identifier: MIT */
#include "lib/net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/daemon.h"

#define HEADER_MS	10000 /* from the start of a connection to its first request */
#define NEXT_MS		(HEADER_MS + 1000 * (int)IDLE_SECONDS) /* … from an answer to the next one */
#define IDLE_SECONDS	30u				       /* without a byte either way */
#define CONNECTION_POOL (32u << 10)

/* A TCP connection between requests: it has HEADER_MS for the first, however slowly it drips. */
struct link {
	struct list_node node;
	struct server *server;
	struct timer timer;
	const char *uri_end; /* of the last request, in MHD's buffer */
	int fd;
};

/* ---- MHD on the loop ---- */

static void turn(void *arg);

static void schedule(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;
	if (s->again)
		timer_start(&s->turn, &s->loop->clock, 0, turn, s);
	else if (MHD_get_timeout(s->mhd, &ms) == MHD_YES)
		timer_start(&s->turn, &s->loop->clock, ms, turn, s);
	else
		timer_stop(&s->turn);
}

static void turn(void *arg)
{
	struct server *s = arg;
	s->again = false;
	MHD_run(s->mhd);
	schedule(s);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	turn(poll->data);
}

void server_turn_soon(struct server *s)
{
	s->again = true; /* survives the schedule() that may follow in this very turn */
	if (!s->closing)
		timer_start(&s->turn, &s->loop->clock, 0, turn, s);
}

/* ---- connections ---- */

static void too_slow(void *arg)
{
	struct link *l = arg;
	shutdown(l->fd, SHUT_RDWR); /* MHD sees the end and closes */
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	struct link *l = *context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
		    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		l = xcalloc(1, sizeof *l);
		l->server = s;
		l->fd = info ? info->connect_fd : -1;
		list_push_back(&s->links, &l->node);
		timer_start(&l->timer, &s->loop->clock, HEADER_MS, too_slow, l);
		*context = l;
	} else if (l) {
		timer_stop(&l->timer);
		list_remove(&s->links, &l->node);
		free(l);
		*context = NULL;
		server_turn_soon(s); /* at its limit MHD looks for new ones only in its next turn */
	}
}

static void read_peer(struct request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;
	snprintf(r->peer, sizeof r->peer, "local");
	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr,
			  r->peer, sizeof r->peer);
	if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
			  r->peer, sizeof r->peer);
}

static struct link *link_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

void server_cut(struct MHD_Connection *c)
{
	struct link *l = link_of(c);
	if (l)
		too_slow(l);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **context)
{
	struct server *s = arg;
	if (!*context) {
		struct link *l = link_of(c);
		if (l)
			timer_stop(&l->timer);
		struct request *r = request_new(s, c, url, method);
		read_peer(r);
		r->malformed = !request_framing_valid(r, method, l ? l->uri_end : NULL, version);
		*context = r;
	}
	return request_step(*context, data, size);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct server *s = arg;
	struct request *r = *context;
	struct link *l = link_of(c);
	if (l && r && !r->upgraded && code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !s->closing)
		timer_start(&l->timer, &s->loop->clock, NEXT_MS, too_slow, l);
	if (r)
		request_free(r);
	*context = NULL;
}

/* Called with the URI, query and all, before MHD takes it apart. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
	(void)arg;
	struct link *l = link_of(c);
	if (l)
		l->uri_end = uri + strlen(uri);
	return NULL;
}

/* Paths and queries stay as they came: an escaped slash inside a segment must not become a
 * separator. */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return strlen(s);
}

static void on_mhd_log(void *arg, const char *fmt, va_list ap)
{
	struct server *s = arg;
	auto_free char *text = xvasprintf(fmt, ap);
	log_debug(s->log, "http", NULL, "%s", text);
}

/* ---- listening ---- */

static int listen_unix(struct server *s, const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof a.sun_path)
		return err_set(e, ENAMETOOLONG, "the socket's path is longer than %zu bytes: %s",
			       sizeof a.sun_path - 1, path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "no socket for %s", path);
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path); /* of a program that was killed; the caller locks the folder */
	mode_t old = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(old);
	if (rc < 0 || listen(fd, 64) < 0) {
		rc = err_sys(e, errno, "can't listen at %s", path);
		close(fd);
		return rc;
	}
	s->unix_path = xstrdup(path);
	return fd;
}

/* "host:port" or "[v6]:port"; host must be an address, not a name. */
static int split_address(const char *text, char host[64], char port[8], struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (!colon || !n || n >= 64 || !colon[1] || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strtol(colon + 1, NULL, 10) > 65535)
		return err_set(e, EINVAL,
			       "'%s' is no address to listen at; use 127.0.0.1:8787 or [::1]:8787",
			       text);
	memcpy(host, text, n);
	host[n] = '\0';
	snprintf(port, 8, "%s", colon + 1);
	return 0;
}

static int bind_tcp(const struct addrinfo *a, const char *listen_at, struct err *e)
{
	int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "no socket for %s", listen_at);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1024) == 0)
		return fd;
	int code = errno;
	close(fd);
	if (code == EADDRINUSE)
		return err_set(e, code,
			       "another program listens at %s; stop it or choose another port",
			       listen_at);
	return err_sys(e, code, "can't listen at %s", listen_at);
}

static int listen_tcp(struct server *s, const char *listen_at, struct err *e)
{
	char host[64], port[8];
	int rc = split_address(listen_at, host, port, e);
	if (rc < 0)
		return rc;
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM},
			*found;
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof host, "127.0.0.1");
	if (getaddrinfo(host, port, &hints, &found))
		return err_set(e, EINVAL,
			       "'%s' is no address to listen at; use 127.0.0.1:8787 or [::1]:8787",
			       listen_at);
	int fd = bind_tcp(found, listen_at, e);
	freeaddrinfo(found);
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} bound = {0};
	socklen_t len = sizeof bound;
	if (fd >= 0 && getsockname(fd, &bound.any, &len) == 0)
		s->port =
		    ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
	return fd;
}

/* ---- its life ---- */

/* Beyond this many connections new ones wait in the kernel's queue; files of our own need some
 * descriptors as well. */
static unsigned connection_limit(const struct server_spec *spec)
{
	struct rlimit limit;
	unsigned room = 1024;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 128)
		room = limit.rlim_cur > 100000 ? 100000 : (unsigned)limit.rlim_cur - 64;
	return spec->max_connections && spec->max_connections < room ? spec->max_connections : room;
}

static int start(struct server *s, struct err *e)
{
	s->mhd = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG, 0,
	    NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, s,
	    MHD_OPTION_LISTEN_SOCKET, s->fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK,
	    keep_escapes, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
	    MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_CONNECTION_LIMIT, connection_limit(&s->spec),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_POOL, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
	    s->mhd ? MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return err_set(e, EIO, "the HTTP server can't be started");
	s->poll = xcalloc(1, sizeof *s->poll);
	s->poll->data = s;
	if (uv_poll_init(&s->loop->uv, s->poll, info->epoll_fd))
		return err_set(e, EIO, "the HTTP server can't be watched");
	uv_poll_start(s->poll, UV_READABLE, on_poll);
	server_turn_soon(s);
	return 0;
}

struct server *server_new(struct loop *l, struct log *log, const struct server_spec *spec,
			  struct err *e)
{
	struct server *s = xcalloc(1, sizeof *s);
	s->loop = l;
	s->log = log;
	s->spec = *spec;
	s->routes = xcalloc(spec->n_routes, sizeof *s->routes);
	if (spec->n_routes)
		memcpy(s->routes, spec->routes, spec->n_routes * sizeof *s->routes);
	list_init(&s->links);
	list_init(&s->sockets);
	list_init(&s->requests);
	bool local = strncmp(spec->listen, "unix:", 5) == 0;
	s->fd = local ? listen_unix(s, spec->listen + 5, e) : listen_tcp(s, spec->listen, e);
	if (s->fd >= 0 && start(s, e) == 0)
		return s;
	server_free(s);
	return NULL;
}

static void free_poll(uv_handle_t *h)
{
	free(h);
}

/* MHD must not be stopped while requests are suspended: each is woken and ends. */
static void end_requests(struct server *s)
{
	list_each (it, &s->requests) {
		struct request *r = list_entry(it, struct request, node);
		if (r->suspended)
			MHD_resume_connection(r->mhd);
		r->suspended = false;
	}
	MHD_run(s->mhd);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	s->closing = true;
	timer_stop(&s->turn);
	if (s->poll) {
		uv_poll_stop(s->poll);
		uv_close((uv_handle_t *)s->poll, free_poll);
	}
	if (s->mhd) {
		ws_peer_free_all(s);
		end_requests(s);
		MHD_stop_daemon(s->mhd); /* closes the listening socket */
	} else if (s->fd >= 0) {
		close(s->fd);
	}
	if (s->unix_path)
		unlink(s->unix_path);
	free(s->unix_path);
	free(s->routes);
	free(s);
}

int server_port(const struct server *s)
{
	return s->port;
}
