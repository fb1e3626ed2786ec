/* download.h - one file on its way: shared by all who want it, from as many streams as help.
 *
 *            lock held, ledger read     head of an answer      every byte written and hashed
 *  opening ───────────────────────▶ running ⇄ making room ─────────────────▶ finishing ─▶ ending
 *     │ another process holds it       │ ▲ the file changed on the server:     │ wrong hash, first
 *     ▼                                ▼ │ all streams end, nothing is kept    ▼ time: again
 *  waiting ──▶ opening             emptying ◀─────────────────────────────────┘
 *
 * Any state goes to ending on an error, or when nobody wants it any more; the ledger stays then.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_DOWNLOAD_H
#define MODEL_DOWNLOAD_H

#include "worker/model/internal.h"

struct download;
struct download_waiter {
	struct list_node node;
	/* Last event, exactly once, unless it left before; never from inside download_join(). err
	 * NULL: the file is at its place. */
	void (*done)(struct download_waiter *w, const struct err *err, bool retryable);
};
/* Starts it or joins one that goes to the same place. NULL while one that ends is in the way: ask
 * again soon. Arguments are copied. */
struct download *download_join(struct store *s, const char *folder, const struct source_file *f,
			       const char *job_id, struct download_waiter *w);
void download_leave(struct download *d, struct download_waiter *w); /* the last one stops it */
void download_wake(struct download *d);				    /* the rate limit allows more */
/* The store goes: it stops in the background and touches only clock and pool until it is gone. */
void download_orphan(struct download *d);
struct download *download_of(struct list_node *n);

/* It is about to delete this file to make room: wait with it until that is over. */
bool download_evicts(const struct download *d, const char *path);

struct download_view { /* texts are the download's */
	const char *folder, *filename, *path;
	uint64_t done, total; /* total 0: not known */
	uint64_t rate;
	bool waiting; /* for another process */
	unsigned streams;
};
void download_view(struct download *d, struct download_view *v);

#endif
