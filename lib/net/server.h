/* server.h - an HTTP/1.1 and WebSocket server on the program's loop (libmicrohttpd).
 * Used by studiod (TCP) and by the worker's control API (a Unix socket, later loopback TCP): routes
 * are a table. SPDX-License-Identifier: MIT */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include <jansson.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/net/transport.h"

struct server;
struct request; /* lives until it was answered or its client left */

/* ---- routes ---- */
struct route {
	const char *method;  /* "GET", "POST", … */
	const char *pattern; /* "/graphics/api/jobs/{id}/result": {name} matches one segment,
				percent-decoded */
	size_t max_body;     /* bytes; a larger body is answered 413 */
	/* Called when the whole body is there ("" when none), except with multipart set. Must
	 * answer now or later. */
	void (*handle)(struct request *r, void *arg);
	/* Streamed multipart instead: begin is called at the headers, then handle at the end of the
	 * body. */
	const struct multipart_events *multipart;
};
struct multipart_events {
	/* At the headers. May request_pause(), may answer at once (the body is then not read). */
	void (*begin)(struct request *r, void *arg);
	void (*field)(struct request *r, const char *name, const char *value,
		      size_t len); /* UTF-8, at most 1 MiB each */
	void (*file)(struct request *r, const char *name, const char *filename,
		     const char *content_type);
	void (*file_data)(struct request *r, const void *data, size_t len);
};

/* Accessors; texts live as long as the request. */
const char *request_param(const struct request *r,
			  const char *name); /* of the pattern, NULL when none */
const char *request_query(const struct request *r,
			  const char *name);		      /* decoded, NULL when not given */
const struct secret *request_bearer(const struct request *r); /* unset when not given */
const char *request_header(const struct request *r,
			   const char *name);	   /* host, origin, user-agent, content-type, … */
const char *request_peer(const struct request *r); /* address without port */
const char *request_body(const struct request *r, size_t *len);
/* One pointer for the handler; `gone` (may be NULL) is called once when the request ends, answered
 * or not. */
void request_set_data(struct request *r, void *data, void (*gone)(void *data));
void *request_data(const struct request *r);
void request_pause(struct request *r); /* stop reading the body (back-pressure) */
void request_resume(struct request *r);

/* Answers: each ends the request (the memory follows later). Answering twice is a bug that aborts;
 * only where the server itself has refused a bad body meanwhile, the answer is dropped. */
void respond_json(struct request *r, int status, json_t *body); /* takes the reference */
void respond_text(struct request *r, int status, const char *content_type, const char *body,
		  size_t len);
/* {"error": code, "message": text} */
void respond_error(struct request *r, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Streams a file from disk; download_name (may be NULL) sets Content-Disposition. Range is not
 * offered. */
void respond_file(struct request *r, const char *path, const char *content_type,
		  const char *download_name);

/* ---- WebSockets ---- */
struct upgrade {
	const char *path;  /* of the request, undecoded */
	const char *param; /* value of the {name} of ws_pattern, decoded */
	const struct secret *bearer;
	const char *peer;
};
struct server_spec {
	const char
	    *listen; /* "127.0.0.1:8080", "[::1]:8080", port 0: any free; or "unix:/path" (0600) */
	const struct route *routes;
	size_t n_routes;
	/* WebSocket end point, NULL: none. Other upgrades are refused (426/404). */
	const char *ws_pattern, *ws_subprotocol;
	size_t
	    ws_first_max; /* bytes of the first message on a socket; 0: 4 MiB, as of the others */
	/* Returns 0 to go on with the upgrade or an HTTP status to refuse it with. NULL: all go on.
	 */
	int (*ws_check)(const struct upgrade *u, void *arg);
	/* The socket is open: set conn->events and conn->arg, or conn_close() it. */
	void (*ws_open)(struct conn *conn, const struct upgrade *u, void *arg);
	/* Called for each request before its handler; may answer it (then returns false). NULL: all
	 * pass. */
	bool (*gate)(struct request *r, const struct route *route, void *arg);
	void *arg;
	unsigned max_connections; /* 0: what RLIMIT_NOFILE allows */
	/* Against bodies that drip (0: 30 s): a whole body has this long, a streamed one must bring
	 * 1 byte per ms in each window of it. A refused body is read for drain_ms (0: 5 s). */
	unsigned body_ms, drain_ms;
};

struct server *server_new(struct loop *l, struct log *log, const struct server_spec *spec,
			  struct err *e) MUST_CHECK;
/* Closes every connection (WebSockets with 1001) and frees; answers under way are cut. */
void server_free(struct server *s);
int server_port(const struct server *s); /* 0 for a Unix socket */

#endif
