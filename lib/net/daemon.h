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
	bool bearer_read, suspended, in_callback, answered, refused, upgraded, done;
	struct buf body;
	size_t received;
	struct list values; /* decoded query values handed out */
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

/* Takes the upgrade when the request asks for one on the WebSocket's path; false: not a WebSocket
 * request. */
bool ws_peer_upgrade(struct request *r, enum MHD_Result *result);
/* One that never got its connection. */
void ws_peer_free(struct ws_peer *p);
void ws_peer_free_all(struct server *s);

#endif
