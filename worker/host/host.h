/* host.h - warm engine servers: started for a (program, model, context flags), shared by the jobs
 * that need the same, kept while they are worth their memory.
 *
 *            start              ready_path answers 200
 *   (none) ─────────▶ loading ─────────────────────────▶ loaded
 *                        │                                 │ idle time-out, room wanted,
 *                        │ exit, deadline, unwanted        │ broken, died, closing
 *                        ▼                                 ▼
 *                      failed ◀──── died ──────────── unloading ──▶ (gone: exit seen, and its
 *                                                                    memory seen to return)
 *
 * A server engine is a child process: it is killed as a group, and dies with this program however
 * that ends. Its process id and start time are kept in state/engines/, and what an earlier
 * life of the program left behind is ended at start.
 * SPDX-License-Identifier: MIT */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <jansson.h>

#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "lib/loop/loop.h"
#include "lib/net/transport.h"
#include "worker/device/device.h"

struct host;

struct host_limits {	       /* may change while it runs */
	uint64_t idle_ms;      /* a server that no job needed for so long is unloaded */
	uint64_t memory_bytes; /* most GPU memory all warm engines may take: the owner's */
	uint64_t margin_bytes; /* of the GPU's memory that is left alone */
};
struct host_deps {
	struct loop *loop;
	struct log *log;
	struct transport *net; /* of net_new() */
	struct device *device;
	const char *state_dir;
	/* Every deadline of a server and of its jobs (load_ms, silence_ms, total_ms) is multiplied
	 * with it: tests wait milliseconds where people wait minutes. 0 counts as 1. main.c reads
	 * it from $STUDIO_WORKER_ENGINE_DEADLINES. */
	double deadline_scale;
};
/* Ends what an earlier life left (recorded pid and start time, and the mark in its environment).
 */
struct host *host_new(const struct host_deps *d);
void host_free(struct host *h); /* all servers are killed; leases get no more events */
void host_configure(struct host *h, const struct host_limits *l);

/* What a server is. Two jobs share one when program, argv and env are equal, and the files still
 * those that it was started with. Copied. */
struct warm_spec {
	const char *engine, *model; /* for people: "sd-cpp", "z-image" */
	const char *program;	    /* absolute path */
	/* NULL-terminated, without the program. An argument that is "{port}" becomes the port,
	 * "{key}" the path of an owner-only file with a random API key, "{dir}" an empty folder of
	 * the server's own; the server is killed before they go. */
	const char *const *argv;
	const char *const *env;	  /* "NAME=value" besides ours; NULL: none */
	const char *const *files; /* model files it keeps open; changed while it is idle, it is
				     unloaded; NULL: none */
	const char *ready_path;	  /* GET answers 200 (with the key as bearer) once it can work */
	uint64_t memory_bytes;	  /* of the GPU, by the offer's estimate; 0: none */
	uint64_t load_ms;	  /* until it must be ready; see warm_load_ms() */
	unsigned lanes;		  /* leases at a time, others wait their turn; 0 counts as 1 */
	/* The driver's reading of one line of output, for the progress: fraction of the loading
	 * 0..1, negative when the line says nothing about it. May be NULL. */
	double (*loading)(const char *line);
};
/* A deadline for loading, from the size of the files: 60 s and one more second for every 20 MiB
 * (a slow hard disk). */
uint64_t warm_load_ms(const char *const *files);

struct warm {		      /* a server as its lease sees it; valid until lease_end() or ->died */
	const char *base_url; /* http://127.0.0.1:PORT */
	const struct secret *key;
	const char *dir; /* of {dir} */
	bool fresh;	 /* nobody was served before */
};
struct lease_events {
	void (*loading)(void *arg, double fraction);	/* negative: not known. Also while others of
							    the room go first */
	void (*ready)(void *arg, const struct warm *w); /* once */
	/* Output while it loads, and while this lease has its turn; of a flood at most 500 lines in
	 * 100 ms. */
	void (*line)(void *arg, int fd, const char *line);
	/* Last event, exactly once, unless lease_end() came first: it could not be started
	 * (retryable false: this machine never has so much room, or the program is missing), or it
	 * died. err holds the engine's own first error line. */
	void (*died)(void *arg, const struct err *err, bool retryable);
};
struct lease;
/* Never calls back from inside. Starts the server when there is none that fits, after it made room
 * (least recently used first, never one that is leased). Who waits for room is not overtaken by
 * leases that came later. Once the loop settles (loop.h) nothing is started any more: what is
 * leased dies with ECANCELED. A lease may be ended after host_free() too. */
struct lease *host_lease(struct host *h, const struct warm_spec *spec,
			 const struct lease_events *ev, void *arg);
enum lease_verdict {
	LEASE_GOOD,   /* the server stays warm */
	LEASE_BROKEN, /* it hangs, answers garbage, or its job can't be stopped otherwise: killed */
};
void lease_end(struct lease *l, enum lease_verdict v); /* NULL allowed */
int lease_pid(const struct lease *l);		       /* 0 while there is no process */

/* Whether a job that needs so much could run here, if every warm engine that no job uses were
 * unloaded: asked at the offer, before anything is unloaded. -ENOMEM with needed, free (or the
 * owner's limit) and margin. */
int host_admit(struct host *h, uint64_t memory_bytes, struct err *e) MUST_CHECK;
bool host_uses(struct host *h, const char *path); /* a server has this model file open */
/* Unloads the servers that have this model file open, if no lease holds or waits for one of them.
 * True: they go, or are going. */
bool host_release_file(struct host *h, const char *path);
/* Unloads every server that no lease holds. */
void host_unload_idle(struct host *h);
/* [{engine, model, state, pid, memoryBytes, idleSeconds, jobs}]. The caller's. */
json_t *host_status(struct host *h);

#endif
