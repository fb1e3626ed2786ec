/* lock.h - one daemon a folder: state/lock.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_LOCK_H
#define CLI_LOCK_H

#include "worker/config/config.h"

enum lock_result {
	LOCK_HELD,    /* by us; *fd */
	LOCK_BUSY,    /* by another daemon */
	LOCK_STOPPED, /* SIGTERM or SIGINT came while waiting */
	LOCK_FAILED,  /* e is filled */
};
/* Makes the state folder. */
enum lock_result folder_lock(const struct config *c, int *fd, struct err *e) MUST_CHECK;
/* Says so on log, then blocks until the other daemon ended or a signal came. */
enum lock_result folder_lock_wait(const struct config *c, struct log *log, int *fd,
				  struct err *e) MUST_CHECK;

#endif
