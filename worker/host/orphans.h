/* orphans.h - processes that outlive the program that started them.
 * Every server has a folder of its own in state/engines/, named by a random mark that is also in
 * its environment and so in that of everything it starts. The record in it holds process id, start
 * time and boot id. SPDX-License-Identifier: MIT */
#ifndef HOST_ORPHANS_H
#define HOST_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/log.h"

#define ORPHAN_MARK "STUDIO_WORKER_ENGINE"
#define MARK_LEN    33 /* 16 bytes in hex and '\0' */
#define SWEEP_MS    500

struct orphan {
	char mark[MARK_LEN];
	char *env;    /* STUDIO_WORKER_ENGINE=<mark> */
	char *folder; /* engines_dir/<mark>; "dir" and "key" in it are the server's */
};

/* Makes the folder, before the process is started. */
int orphan_begin(struct orphan *o, const char *engines_dir, struct err *e) MUST_CHECK;
/* The process was started. */
int orphan_record(const struct orphan *o, pid_t pid, struct err *e) MUST_CHECK;
/* Kills everything that has one of the n marks, then waits until all of it is dead, within_ms at
 * most. Returns how many processes there were. Blocks: in the pool, or on the loop where nothing
 * else is to happen, at start and on the way out. Safe in any thread. */
int orphan_sweep(const char *const *marks, size_t n, unsigned within_ms);
/* Removes the folder. */
void orphan_fini(struct orphan *o);

/* Ends what an earlier life of the program left, by records and marks, and removes the folders. */
void orphans_end(const char *engines_dir, struct log *log);

/* Field 22 of /proc/PID/stat; 0: no such process, or it is dead. */
unsigned long long process_start_time(pid_t pid);

#endif
