/* download_internal.h - what the parts of a download share: streams (range.c), the hash that
 * follows them (hasher.c), the ledger (claim.c), room on the disk (room.c), and the steps on the
 * disk at both ends (open.c, finish.c). SPDX-License-Identifier: MIT */
#ifndef MODEL_DOWNLOAD_INTERNAL_H
#define MODEL_DOWNLOAD_INTERNAL_H

#include "worker/model/download.h"
#include "worker/model/extents.h"
#include "worker/model/ledger.h"
#include "worker/model/meter.h"
#include "worker/model/width.h"

#define CHUNK_BYTES   (128u << 10)
#define TOTAL_UNKNOWN UINT64_MAX
#define START_OVERS   3 /* a file that changes under every attempt is given up */

struct download;

/* Bytes between the network and the disk. Loop thread only, but for `data` while work runs. */
struct chunk {
	struct list_node write_node, hash_node;
	uint64_t at;
	size_t len;
	unsigned refs;
	unsigned char data[CHUNK_BYTES];
};

struct range { /* one stream; a slot that is used again */
	struct download *d;
	struct fetch *fetch;	   /* NULL: ended; what it brought may still be on its way */
	bool used, paused, headed; /* headed: it delivers the file */
	uint64_t from, pos, end;   /* [from, end) is its own; pos: received */
	uint64_t asked_end;	   /* of the request */
	int status;
	uint64_t retry_after_ms;
	bool stopped;	/* by us, for a reason that is dealt with */
	struct err bad; /* what was wrong with its answer */
	struct chunk *filling;
	struct list queue; /* to be written */
	struct work work;
	struct chunk *writing;
	struct err write_err;
};

struct hasher {
	struct sha256 *sha;
	uint64_t pos, next; /* hashed; and with what is queued or under way */
	struct list queue;  /* chunks from pos on, without a gap */
	struct work work;
	bool busy;
	struct chunk *chunk; /* NULL: read back */
	size_t len;	     /* of the piece under way */
	unsigned char *back; /* memory for that */
	struct err err;
};

struct claim {
	int fd;
	struct ledger next; /* the work's while busy */
	struct extents synced, syncing;
	uint64_t unclaimed, claimed_ms, synced_ms;
	bool busy, sync_busy, fresh; /* fresh: synced grew since the last slot */
	bool slot_sync;
	struct work work, sync_work;
	struct err err, sync_err;
};

enum download_state {
	DL_OPENING,
	DL_WAITING,
	DL_RUNNING,
	DL_ROOM,
	DL_EMPTYING,
	DL_FINISHING,
	DL_ENDING
};

struct download {
	struct list_node node; /* of the store */
	struct store *store;   /* NULL once it is gone */
	struct clock *clock;
	struct pool *pool;
	struct list waiters;
	enum download_state state;

	char *root, *folder, *filename, *url, *sha256, *job_id;
	char *path, *part, *ledger, *lock;
	uint64_t approx;
	int lock_fd, fd;

	uint64_t most;	/* bytes that may come while the total is not known */
	uint64_t total; /* TOTAL_UNKNOWN until an answer says it */
	char etag[LEDGER_TAG_MAX + 1], modified[LEDGER_TAG_MAX + 1];
	bool no_ranges; /* the server has none: one stream, from the start */
	bool no_range;	/* not even asking for them went well */
	bool roomy;	/* quota and disk were looked at for this total */
	bool changed;	/* what is there is worth nothing: start over once all is quiet */
	bool found;	/* another process brought it while we waited */
	bool told_wait;
	unsigned start_overs, bad_hashes;
	struct extents done; /* written */
	struct range ranges[WIDTH_MAX];
	struct width width;
	struct hasher hasher;
	struct claim claim;
	size_t jobs;	   /* works under way */
	struct list spare; /* chunks, by write_node */

	uint64_t received; /* by this program */
	struct meter meter;
	unsigned refusals; /* of a lone stream, after bytes came */
	unsigned failures; /* in a row without a new byte */
	uint64_t best;	   /* the most that was ever done; failures below it are without progress */
	struct timer tick, retry;
	uint64_t said_ms; /* when the log last heard of it */
	struct err err;	  /* of the end */
	bool retryable;
	struct work work;     /* the one big step of OPENING, ROOM, EMPTYING, FINISHING, ENDING */
	void *step;	      /* what it works on */
	struct looking *room; /* the same while it makes room */
};

/* ---- download.c ---- */
void download_pump(struct download *d); /* does whatever can be done now */
void download_fail(struct download *d, bool retryable, const struct err *e); /* the first counts */
/* The file on the server is another than the one that is half here. */
void download_change(struct download *d, const char *why);
void download_soon(struct download *d);			  /* pumps in the next turn */
void download_submit(struct download *d, struct work *w); /* counts it in d->jobs */
void download_job_done(struct download *d);		  /* first line of every after() */
/* A stream failed: its rest is up for another; backs off when it was the only one. */
void download_stumbled(struct download *d, struct range *r, const struct err *e);

/* ---- streams.c ---- */
/* Starts as many as are wanted and possible, and the next step once all is there. */
void streams_run(struct download *d);

/* ---- range.c ---- */
struct fetch_head;
void range_start(struct range *r, uint64_t from, uint64_t end);
void range_stop(struct range *r); /* what it brought is still written */
void range_wake(struct range *r);
unsigned ranges_used(const struct download *d), ranges_live(const struct download *d);
void chunk_unref(struct download *d, struct chunk *c);

/* ---- answer.c: the head of an answer to a stream ---- */
bool answer_head(struct range *r, const struct fetch_head *h);
/* The body of a file whose length was not said ended well: that is it, or false and failed. */
bool answer_ended(struct range *r);
/* What a server can be asked to compare, or NULL: the strong ETag, else the date. */
const char *answer_validator(const char *etag, const char *modified);
/* How a stream that ended without its bytes is dealt with. */
void answer_fault(struct range *r, const struct fetch_end *end);

/* ---- hasher.c ---- */
void hasher_init(struct hasher *h), hasher_reset(struct download *d);
void hasher_fini(struct download *d);
void hasher_offer(struct download *d, struct chunk *c);
void hasher_pump(struct download *d);

/* ---- claim.c ---- */
void claim_written(struct download *d, uint64_t bytes);
void claim_pump(struct download *d);
void claim_last(struct download *d); /* everything that is written; once all streams are quiet */

/* ---- open.c, room.c, finish.c: each begins a step, and pumps at its end ---- */
void open_begin(struct download *d);
void room_begin(struct download *d);
void empty_begin(struct download *d);
void finish_begin(struct download *d);

#endif
