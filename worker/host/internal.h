/* internal.h - what the files of this room share.
 * host.c owns the lists and the pump; warm.c one server, launch.c its start; lease.c what jobs
 * hold; room.c whether there is memory; orphans.c what outlived its program.
 * SPDX-License-Identifier: MIT */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include "lib/loop/child.h"
#include "lib/net/fetch.h"
#include "worker/host/host.h"
#include "worker/host/lines.h"
#include "worker/host/orphans.h"

struct host {
	struct loop *loop;
	struct log *log;
	struct transport *net;
	struct device *device;
	char *engines_dir;  /* a folder a server */
	struct orphan life; /* of what is started for one job: its mark is in our own environment */
	struct host_limits limits;
	double deadline_scale;
	struct list servers; /* in the order of their starts */
	struct list leases;  /* all, in the order they were asked for */
	struct timer pump;   /* 0 ms: look at everything once the caller is gone */
	struct timer idle;   /* the next idle server that is to go */
	bool closing;	     /* the program ends: nothing is started any more */
	bool pumping;
	uint64_t line_seq; /* counts what is told to leases */
};

/* Which file a path led to; all 0: none. */
struct file_id {
	uint64_t dev, ino, size;
	int64_t mtime_s, mtime_ns;
};

/* A copy of a warm_spec. */
struct spec_copy {
	struct warm_spec s;
	char **argv, **env, **files;
	struct file_id *ids; /* of files, as they were when it was made; NULL: no files */
};
void spec_copy(struct spec_copy *to, const struct warm_spec *from);
void spec_fini(struct spec_copy *c);
bool spec_equal(const struct warm_spec *a, const struct warm_spec *b);
/* Another file, or other content, is where one of its files was. */
bool spec_outdated(const struct spec_copy *c);

/* ---- one server: warm.c ---- */

/* See the diagram in host.h. Failed: it ended, or is being ended, against our will. */
enum warm_state { WARM_NONE, WARM_LOADING, WARM_LOADED, WARM_UNLOADING, WARM_FAILED, WARM_GONE };

struct server {
	struct list_node node;
	struct host *host;
	struct spec_copy spec;
	enum warm_state state;
	struct orphan orphan; /* its mark and folder */
	int port;
	char *base_url;
	struct secret key;
	struct warm warm;

	struct child *child; /* NULL once its end was seen */
	int pid;
	struct fetch *poll;
	struct timer next_poll, load_deadline, memory_check;
	uint64_t poll_ms, memory_since;
	struct work sweep; /* runs after its end: no timer or list of the room is touched by it */
	int swept;	   /* processes that it had left behind */
	bool sweeping, abandoned;

	struct lines_seen lines;
	struct err why;	      /* of a failure, for the leases */
	bool no_retry;	      /* starting it again can't help */
	bool port_taken;      /* it failed because its port was another's */
	bool second_port;     /* this is the second try */
	uint64_t used_ms;     /* when the last lease ended */
	uint64_t served;      /* leases that ended well or not */
	uint64_t free_before; /* GPU memory at its start; 0: not known */
	uint64_t free_at_end; /* when it was told to end */
	uint64_t window_free; /* when measuring began; 0: it does not */
	uint64_t held;	      /* GPU memory seen to be taken */
	bool measured;
};

/* Puts a server for the spec into the list, in loading. Never fails at once: an error shows as
 * failed. */
struct server *server_start(struct host *h, const struct warm_spec *spec, bool second_port);
/* Starts its process: launch.c. */
int server_launch(struct server *s, const struct child_events *ev, struct err *e) MUST_CHECK;
bool port_is_taken(int port);
/* Checks the move, logs it; a move that the table lacks aborts the program. */
void warm_move(struct server *s, enum warm_state to);
bool warm_can_move(enum warm_state from, enum warm_state to);
const char *warm_state_name(enum warm_state st);
/* Ends it; to is unloading or failed (why says the reason). Does nothing when it ends already. */
void server_end(struct server *s, enum warm_state to, const struct err *why);
void server_drop(struct server *s);
static inline bool server_live(const struct server *s)
{
	return s->state == WARM_LOADING || s->state == WARM_LOADED;
}
static inline bool server_dying(const struct server *s)
{
	return s->state == WARM_UNLOADING || s->state == WARM_FAILED;
}

/* ---- jobs' ends of servers: lease.c ---- */

struct lease {
	struct list_node node;
	struct host *host; /* NULL after host_free() */
	struct spec_copy spec;
	struct lease_events ev;
	void *arg;
	struct server *server; /* NULL: waits for room */
	bool ready, told_waiting, dead, retryable;
	uint64_t line_seq, loading_seq; /* the last it was given */
	struct err why;
};
unsigned server_leases(const struct server *s);	      /* all that hold it */
bool server_idle(const struct server *s);	      /* ready, and no lease holds it */
unsigned server_ready_leases(const struct server *s); /* of these, those at work */
/* Gives its turn to every lease that may have it, and its last event to those whose server is
 * gone. */
void leases_deliver(struct host *h);
void leases_loading(struct server *s, double fraction);
void leases_line(struct server *s, int fd, const char *line);
/* The server can't serve any more: its leases get died. */
void leases_lose(struct server *s, const struct err *why, bool retryable);
void lease_lose(struct lease *l, const struct err *why, bool retryable);
/* What the server said that looks like an error, "" when nothing did. For served.c. */
const char *lease_error_line(const struct lease *l);
/* To another server of the same spec, before any was ready. */
void leases_hand_over(struct server *from, struct server *to);

/* ---- memory: room.c ---- */

enum room { ROOM_THERE, ROOM_LATER, ROOM_TAKEN, ROOM_NEVER };
/* Whether a server for the spec can be started now. Later: something was or is being unloaded, or
 * is at work. Taken: by other programs, and nothing here is waited for; never: this machine has not
 * so much; e says why. Unloads the least recently used as needed. */
enum room room_make(struct host *h, const struct warm_spec *spec, struct err *e);
/* What its end gives back, as far as it is known. */
uint64_t room_held(const struct server *s);
/* How much the server takes is seen in what is free before and after it loads or works. */
void room_measure_from_now(struct server *s);
void room_measure(struct server *s);
/* Whether the memory of a server that ended is back. */
bool room_returned(const struct server *s, uint64_t *free_now);

/* ---- host.c ---- */
void host_wake(struct host *h); /* the pump runs at the end of this turn */
void host_pump(struct host *h); /* from an event of the loop */
uint64_t host_deadline(const struct host *h, uint64_t ms); /* scaled; 0 stays 0 */

#endif
