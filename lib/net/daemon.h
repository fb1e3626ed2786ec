/* daemon.h - inside lib/net: the server over libmicrohttpd, shared by server.c, request.c and
 * server_ws.c. SPDX-License-Identifier: MIT */
#ifndef NET_DAEMON_H
#define NET_DAEMON_H

#include <microhttpd.h>

#include "lib/base/buf.h"
#include "lib/net/multipart.h"
#include "lib/net/router.h"
#include "lib/net/server.h"

struct server {
	struct loop *loop;
	struct log *log;
	struct MHD_Daemon *mhd;
	uv_poll_t *poll;   /* of MHD's epoll descriptor */
	struct timer turn; /* MHD's time-outs, and the turn after something was resumed */
	struct server_spec spec;
	struct route *routes; /* copies; patterns are the caller's */
	char *listen, *unix_path;
	struct list links;   /* struct link: TCP connections */
	struct list sockets; /* struct ws_peer: upgraded ones */
	struct list requests;
	int fd, port;
	bool closing, again;
};

/* Lets MHD work after the current callback: a request was resumed or answered. */
void server_turn_soon(struct server *s);
/* Ends a connection at once: MHD sees the end and closes. */
void server_cut(struct MHD_Connection *c);

/* One request; MHD's per-request pointer. */
enum phase { PHASE_HEADERS, PHASE_BODY, PHASE_HANDLED };
struct request {
	struct list_node node;
	struct server *server;
	struct MHD_Connection *mhd;
	const struct route *route;
	enum phase phase;
	struct params params;
	char *path, *method;
	struct secret bearer;
	char peer[64];
	bool malformed; /* the headers may mean another request to someone else */
	bool bearer_read, suspended, in_callback, answered, refused, upgraded, done;
	struct buf body;
	size_t received;
	struct timer limit;  /* of the time for the body */
	uint64_t limit_left; /* ms, while the body is paused; 0: no limit runs */
	size_t window_start; /* received when the limit was started */
	struct list values;  /* decoded query values handed out */
	struct multipart *multipart;
	struct ws_peer *socket; /* accepted, until MHD hands its connection over */
	/* the answer, once it is known */
	int status;
	struct MHD_Response *response;
	void *data;
	void (*gone)(void *data);
};

struct request *request_new(struct server *s, struct MHD_Connection *c, const char *path,
			    const char *method);
/* MHD's calls for a request: headers, then pieces of the body, then the end (*size 0). */
enum MHD_Result request_step(struct request *r, const char *data, size_t *size);
void request_free(struct request *r);

/* At the first call for a request: no header may be read in two ways (request_framing.c). Takes
 * MHD's own pointers; uri_end: where its first string of the URI ended. */
bool request_framing_valid(const struct request *r, const char *method, const char *uri_end,
			   const char *version);

/* The time for the body (request_limits.c): started with the body and again at a refusal. */
void request_limit_start(struct request *r);
void request_limit_stop(struct request *r);
void request_limit_pause(struct request *r);
void request_limit_resume(struct request *r);

/* Takes the upgrade when the request asks for one on the WebSocket's path; false: not a WebSocket
 * request. */
bool ws_peer_upgrade(struct request *r, enum MHD_Result *result);
/* One that never got its connection. */
void ws_peer_free(struct ws_peer *p);
void ws_peer_free_all(struct server *s);

#endif
