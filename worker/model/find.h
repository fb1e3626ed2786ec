/* find.h - whether a model's file is here already: in its own folder, or at the top of models_root.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_FIND_H
#define MODEL_FIND_H

#include <stdatomic.h>

#include "lib/wire/source.h"

struct find_watch { /* of another thread; may be NULL */
	_Atomic uint64_t done, total;
	atomic_bool verifying, cancel;
};
/* 0 and a path to free(): name and size match, and the SHA-256 when one is asked for (a file is
 * hashed once and remembered by inode, size and time). Without a hash the size must be within a
 * tenth of approx_bytes, which offers round.
 * -ENOENT: to be downloaded. -EEXIST: what the owner put there is another file, and it is in the
 * way. -ECANCELED. Blocks, for as long as hashing takes. */
int find_file(const char *root, const char *folder, const struct source_file *f, char **path,
	      struct find_watch *w, struct err *e) MUST_CHECK;
/* Whether a size goes with approx_bytes (0 goes with any). */
bool find_size_fits(uint64_t size, uint64_t approx);
/* SHA-256 of a regular file, links followed. Blocks. */
int find_hash(const char *path, char hex[65], struct find_watch *w, struct err *e) MUST_CHECK;

#endif
