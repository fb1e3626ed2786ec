/* fake_net.h - a network in memory: transports for workers, socket ends and HTTP requests for a
 * studio. Everything moves by timers of one hand-driven clock; per direction of one socket the
 * order is kept, between sockets it is whatever the delays make of it. SPDX-License-Identifier: MIT
 */
#ifndef FAKE_NET_H
#define FAKE_NET_H

#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "lib/net/transport.h"

/* An HTTP exchange as the studio sees it, until fake_request_answer() or gone. */
struct fake_request {
	const char *method, *url, *json;      /* json NULL: none */
	const char *prompt, *ext, *file_name; /* multipart, else NULL */
	struct secret bearer;
	const char *file; /* the uploaded bytes, NULL: none */
	size_t file_len;
	/* For the handler: called when the client left or was cut before the answer; the request is
	 * gone after it. */
	void (*gone)(void *arg);
	void *arg;
};
void fake_request_answer(struct fake_request *r, int status, const char *body);

/* The studio's end. Each may be NULL: then sockets open, requests are answered with 404. */
struct fake_server {
	/* 0 to go on with the upgrade, or the HTTP status to refuse it with. */
	int (*check)(void *arg, const struct connect_request *r);
	/* Set conn->events and conn->arg, or conn_close() it. */
	void (*open)(void *arg, struct conn *conn, const struct connect_request *r);
	void (*request)(void *arg, struct fake_request *r);
};

struct fake_client;
struct fake_net {
	struct clock *clock;
	uint64_t (*delay)(void *arg); /* ms for each hop; NULL: 0 */
	void *delay_arg;
	const struct fake_server *server; /* NULL: the studio is down, connects are refused */
	void *server_arg;
	/* Sees every text when it is sent and again when it arrives; may be NULL. What it returns
	 * for one that is sent (malloc'ed, NULL: nothing) travels instead. */
	char *(*tap)(void *arg, struct fake_client *c, bool by_studio, bool arrives,
		     const char *text, size_t len);
	void *tap_arg;
	struct list clients;
};
void fake_net_init(struct fake_net *n, struct clock *clock);
/* Frees all clients and what they have open, without a word to anybody. */
void fake_net_fini(struct fake_net *n);

/* One worker's way to the studio. */
struct fake_client {
	struct transport transport;
	struct fake_net *net;
	struct list_node node;
	struct list pipes, exchanges;
	/* Half-open: what comes from (mute) or goes to (deaf) this client is swallowed. A socket
	 * that lost something stays so for good, as a TCP stream does not go on behind a hole. */
	bool mute, deaf;
	bool refuse_sends; /* send() gives ENOTCONN */
	unsigned connects, requests;
	void *owner; /* of whoever made it */
};
struct fake_client *fake_client_new(struct fake_net *n);
void fake_client_free(struct fake_client *c); /* as fake_net_fini does */
/* The socket a test looks at: the newest of the client, its own end or the studio's; NULL when
 * there is none. */
struct conn *fake_client_conn(struct fake_client *c);
struct conn *fake_server_conn(struct fake_client *c);
/* A socket without a client, for tests of a hub: *far is the end whose events the test hears (ev,
 * arg), the result the one a studio gets; it is open already. */
struct conn *fake_client_dial(struct fake_client *c, const struct conn_events *ev, void *arg,
			      struct conn **far);

/* ---- faults ---- */
void fake_client_cut(
    struct fake_client *c); /* both ends of everything open hear CONN_LOST, each after a delay */
void fake_client_crash(
    struct fake_client *c); /* its ends vanish unheard, the studio's ends hear CONN_LOST */
void fake_net_crash_server(struct fake_net *n); /* the same the other way; server is set to NULL */

#endif
