/* outbox.h - finished results on disk, until the studio has them.
 * Bytes: a folder each, named by the hash of job and task: staged as .tmp-*, renamed into place
 * when whole. JSON: records of one journal file (journal.h). Everything here blocks and is called
 * by one thread at a time. SPDX-License-Identifier: MIT */
#ifndef JOB_OUTBOX_H
#define JOB_OUTBOX_H

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "worker/job/result.h"

struct outbox;

/* Touches nothing on disk. */
struct outbox *outbox_new(const char *state_dir);
void outbox_free(struct outbox *o);
/* Removes what a crash left half made, sets aside what is broken (as .broken-*, with a line on
 * log), and returns the rest, oldest first; the array and its results are the caller's, also after
 * an error, which tells that some could not be read. */
int outbox_load(struct outbox *o, struct log *log, struct result ***out, size_t *n,
		struct err *e) MUST_CHECK;
/* How many results wait. Only looks, so it may run beside the daemon whose outbox it is. */
size_t outbox_count(const char *state_dir);
/* Durable when it returns 0. A result of bytes is moved here from `file`, and r->file, size and
 * sha256 are filled; one with a frame gets r->seq. On an error nothing is kept. */
int outbox_put(struct outbox *o, struct result *r, const char *file, struct err *e) MUST_CHECK;
/* Bytes: gone when it returns 0, also after a crash. */
int outbox_remove(struct outbox *o, const char *dir, struct err *e) MUST_CHECK;
/* JSON: forgets the records of these numbers. Not synced: at worst one is found again after a crash
 * of the machine. */
int outbox_forget(struct outbox *o, const uint64_t *seqs, size_t n, struct err *e) MUST_CHECK;
/* Bytes: remembers that it is not offered by HTTP any more. */
int outbox_park(struct outbox *o, const char *dir, struct err *e) MUST_CHECK;
/* Bytes: out of the way, for a person to look at. */
int outbox_set_aside(struct outbox *o, const char *dir, struct err *e) MUST_CHECK;

#endif
