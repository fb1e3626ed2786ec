/* journal.h - small texts in one file of records, so that keeping one costs a write and an
 * fdatasync.
 *
 * Records follow each other with consecutive numbers; the first that is torn, or numbered
 * otherwise, ends the journal. When nothing in it is alive any more, writing starts over at the
 * front: what an older round left behind the new end has lower numbers and is never read.
 * SPDX-License-Identifier: MIT */
#ifndef FS_JOURNAL_H
#define FS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct journal;

/* Called for every record that is alive, in order. head and body are not '\0'-terminated. */
typedef void journal_each(void *arg, uint64_t id, const char *head, size_t head_len,
			  const char *body, size_t body_len);

struct journal *journal_new(const char *path); /* touches nothing */
void journal_free(struct journal *j);
/* Reads what is there and changes nothing; *torn tells that the last record was cut off or damaged.
 * After an error nothing can be put or dropped: what is there would be overwritten. */
int journal_load(struct journal *j, journal_each *fn, void *arg, bool *torn,
		 struct err *e) MUST_CHECK;
/* On disk when it returns 0. On an error nothing changed. */
int journal_put(struct journal *j, const char *head, const char *body, uint64_t *id,
		struct err *e) MUST_CHECK;
/* Not synced. */
int journal_drop(struct journal *j, uint64_t id, struct err *e) MUST_CHECK;

#endif
