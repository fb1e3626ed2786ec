/* spawn.h - fork and exec of one program into a session of its own. Private to lib/loop.
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_SPAWN_H
#define LOOP_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"

/* The caller closes the descriptors (all CLOEXEC) and reaps the process. */
struct spawned {
	pid_t pid; /* also its process group */
	int pidfd; /* readable once it has exited */
	int in;	   /* -1 unless asked for */
	int out, err;
};

/* Returns after the exec: a program that cannot be run is an error here, not a child that fails.
 * argv[0] is looked up in $PATH unless it has a slash. env: see child.h. */
int spawn(const char *const *argv, const char *cwd, const char *const *env, bool feed,
	  struct spawned *s, struct err *e) MUST_CHECK;

#endif
