/* group.h - whether a process group still lives. Private to lib/loop.
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_GROUP_H
#define LOOP_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

/* Members that are dead but not yet reaped by their parent do not count: some containers' first
 * process takes its time, and a zombie holds neither memory nor pipes. */
bool group_alive(pid_t pgid);

#endif
