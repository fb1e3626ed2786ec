/* child.h - a supervised child process.
 * Own process group, stdin closed or fed once, stdout and stderr read as lines, a deadline, killed
 * as a group, done only after exit AND end of output, death of the whole group verified. The child
 * also dies with this program, however that ends (parent-death signal). What it left in its group
 * is killed at its exit. SPDX-License-Identifier: MIT */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

#include "lib/loop/loop.h"

struct child;

struct child_end {
	int exit_code;	/* -1 when a signal ended it */
	int signal;	/* 0 when it exited */
	bool timed_out; /* the deadline killed it */
	bool cancelled; /* child_kill() did */
	bool leaked;	/* 1 s after its exit its group still lived or its output was still open */
	const char *first_error; /* first non-empty line it wrote to stderr, "" when none; valid
				    during the call */
};

struct child_events {
	/* One line of output, without its end; split at \n and \r, cut at 4 KiB. fd is 1 or 2.
	 * NULL: ignore. */
	void (*line)(void *arg, int fd, const char *line);
	/* Last event, exactly once; the child is freed after it returns. */
	void (*end)(void *arg, const struct child_end *end);
};

struct child_spec {
	const char *const
	    *argv;	 /* NULL-terminated; argv[0] is looked up in $PATH unless it has a slash */
	const char *cwd; /* NULL: ours */
	const char *const
	    *env;	   /* "NAME=value" besides ours, ours of that name replaced; NULL: none */
	const char *input; /* fed to stdin, then closed; NULL: stdin is /dev/null. Copied. */
	size_t input_len;
	uint64_t deadline_ms; /* 0: none */
};

/* Arguments are copied. NULL with e filled when it could not be started (ENOENT names the program).
 */
struct child *child_start(struct loop *l, const struct child_spec *spec,
			  const struct child_events *ev, void *arg, struct err *e) MUST_CHECK;
/* SIGTERM to the group, SIGKILL 1 s later; ->end still follows. */
void child_kill(struct child *c);
/* For an owner that goes away first (shutdown): SIGKILL to the group now, no event follows, freed
 * by the loop. NULL allowed; after ->end it does nothing. */
void child_drop(struct child *c);
/* All children of the loop: SIGKILL with ->end to follow (loop_settle() does it), or dropped
 * (loop_fini()). */
void child_kill_all(struct loop *l);
void child_drop_all(struct loop *l);
int child_pid(const struct child *c);

/* Absolute path of a program found in $PATH (or given with a slash), NULL when there is none.
 * free() it. */
char *program_find(const char *name);

#endif
