/* spool.h - a file that grows in the pool while its bytes come in on the loop, a quarter of a
 * megabyte at a time. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_SPOOL_H
#define SD_CPP_SPOOL_H

#include "lib/base/buf.h"
#include "lib/base/work.h"

struct spool;
struct spool_events {
	void (*room)(void *arg); /* after spool_full() said so: it is not any more */
	/* Last event, after spool_finish(). err NULL: everything is in the file. */
	void (*finished)(void *arg, const struct err *err);
};
/* The file is made when the first bytes are written. */
struct spool *spool_new(struct pool *pool, const char *path, const struct spool_events *ev,
			void *arg);
struct buf *spool_buf(struct spool *s); /* what comes in is appended here */
/* To be called after appending: hands enough of it to the pool. */
void spool_push(struct spool *s);
bool spool_full(struct spool *s);   /* wait for ->room */
void spool_finish(struct spool *s); /* frees s after ->finished */
void spool_drop(struct spool *s);   /* no event follows. NULL allowed */

#endif
