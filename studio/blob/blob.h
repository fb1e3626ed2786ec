/* blob.h - SEAM: where results that are files live. Implementations: folder, a memory fake for
 * tests, later s3. SPDX-License-Identifier: MIT */
#ifndef BLOB_BLOB_H
#define BLOB_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/work.h"

struct blob_store;
struct blob_writer;
/* err->code 0: the bytes are durable under the name. */
typedef void blob_done(void *arg, const struct err *err, uint64_t bytes, const char *sha256_hex);
typedef void blob_names(void *arg, const struct err *err, char *const *names, size_t n);

struct blob_ops {
	const char *name;
	/* Answers that are still due are dropped; what was asked for still happens. */
	void (*close)(struct blob_store *b);
	/* Names are [A-Za-z0-9._-], at most 200 bytes, no leading dot: checked, EINVAL. Nothing is
	 * visible before commit. */
	struct blob_writer *(*open)(struct blob_store *b, const char *name, struct err *e);
	/* Goes to the page cache; may block as a write() does. */
	int (*write)(struct blob_writer *w, const void *data, size_t len, struct err *e);
	/* Flushes and publishes; frees the writer; done comes later on the loop thread. */
	void (*commit)(struct blob_writer *w, blob_done *done, void *arg);
	void (*abort)(struct blob_writer *w); /* frees; NULL allowed */
	void (*remove)(struct blob_store *b,
		       const char *name); /* in the background; a missing one is no error */
	/* Local path for serving, free() it; NULL with e when there is none (ENOENT). */
	char *(*path)(struct blob_store *b, const char *name, struct err *e);
	/* All names there are: for the sweep of orphans at start. */
	void (*list)(struct blob_store *b, blob_names *done, void *arg);
};
struct blob_store {
	const struct blob_ops *ops;
};
bool blob_name_valid(const char *name);

struct log;
struct blob_store *blob_folder_open(struct pool *pool, struct log *log, const char *dir,
				    struct err *e) MUST_CHECK;

#endif
