/* store.h - model files on this machine: found, or downloaded once, verified, and kept while they
 * are wanted.
 *
 * A file of a model is looked for in models_root/<model>/, then at the top of models_root, and
 * counts when its name and size (and SHA-256, when the offer gives one) match. What is downloaded
 * goes to models_root/<model>/ by way of <name>.part and <name>.part.ledger beside it, and is
 * listed in models_root/.store/, which tells it from what the owner put there.
 * Names, rules and limits: docs/models.md.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_STORE_H
#define MODEL_STORE_H

#include <jansson.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/net/transport.h"
#include "lib/wire/source.h"

struct store;

/* May change while it runs. Everything is copied. */
struct store_limits {
	uint64_t quota_bytes;		/* of what was downloaded; 0: no limit */
	uint64_t bytes_per_s;		/* all downloads together; 0: no limit */
	const char *const *allow_hosts; /* see lib/net/fetch.h */
	const char *studio_origin;
};
struct store_deps {
	struct clock *clock;
	struct pool *pool;
	struct log *log;
	struct transport *net; /* of net_new() */
	const char *models_root;
	/* Whether a warm engine has this file open: it is not evicted. May be NULL. */
	bool (*in_use)(void *arg, const char *path);
	/* Asks a warm engine that no job needs to let go of the file. True: it will, soon. NULL:
	 * nobody can be asked. */
	bool (*release)(void *arg, const char *path);
	void *in_use_arg; /* of both */
};
/* Never fails: a models_root that can't be made is an error of each download. */
struct store *store_new(const struct store_deps *d);
void store_free(struct store *s); /* downloads stop where they are; their ledgers stay */
void store_configure(struct store *s, const struct store_limits *l);
/* What addresses that a peer named may lead to; valid until the next store_configure(). */
const struct fetch_policy *store_policy(const struct store *s);

struct store_progress {	      /* of all files of one hold together */
	const char *filename; /* the one that is being worked on */
	uint64_t done, total; /* bytes; total 0: not known */
	uint64_t rate;	      /* bytes a second, of the last seconds */
	int64_t eta_s;	      /* -1: not known */
	bool verifying;	      /* a file that was found is being hashed */
};
struct store_events {
	/* At most four a second, and none when every file was there. */
	void (*progress)(void *arg, const struct store_progress *p);
	/* Last event, exactly once, never from inside store_hold(). paths: one absolute path a
	 * file, in the order of the files, valid until hold_release(); NULL when err is set. */
	void (*end)(void *arg, const char *const *paths, const struct err *err, bool retryable);
};
/* model NULL: the top of models_root, for the owner's own pulls; "" is an error, and any other id
 * is mapped to a folder of its own (name.h). At most 64 files. A claim on the files of a model:
 * they are there after ->end and not evicted before hold_release(). Two holds that want the same
 * file share one download. Arguments are copied. */
struct hold *store_hold(struct store *s, const char *model, const struct source_file *files,
			size_t n, const char *job_id, const struct store_events *ev, void *arg);
/* Also before ->end, which then does not come; a download nobody else wants stops and keeps its
 * ledger. NULL allowed. */
void hold_release(struct hold *h);

/* One line of what progress says, for people: "model.gguf 1.2 of 4.9 GB, 85 MB/s, 43 s left". */
void store_progress_text(const struct store_progress *p, char *out, size_t size);
/* {"downloads": [{model, filename, done, total, rate, streams, etaSeconds?}], "bytes": of what was
 * downloaded, "quotaBytes": n}. The caller's. */
json_t *store_status(struct store *s);

/* ---- for `studio-worker models`; these block ---- */
struct store_entry {
	char *model, *filename, *path; /* model: its folder, "" at the top of models_root */
	char *sha256, *url;	       /* of the list; NULL: the owner's file */
	uint64_t bytes, partial;       /* partial: what a .part holds; bytes is then the whole */
	int64_t used_ms;	       /* last wanted by a job; 0: never */
};
/* Everything below models_root, sorted. free with store_entries_free. */
int store_list(const char *models_root, struct store_entry **out, size_t *n,
	       struct err *e) MUST_CHECK;
void store_entries_free(struct store_entry *entries, size_t n);
/* Removes a downloaded file ("model/filename" or a model's whole folder of downloads), its .part
 * and ledger. -EPERM for a file of the owner, -EBUSY for one that a running daemon
 * downloads or needs for a job. */
int store_remove(const char *models_root, const char *name, struct err *e) MUST_CHECK;

#endif
