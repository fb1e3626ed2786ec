/* lock.c - see lock.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/lock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define RETRY_MS 100

static enum lock_result try_lock(const char *path, int *fd, struct err *e)
{
	*fd = fs_lock(path, e);
	if (*fd >= 0)
		return LOCK_HELD;
	return *fd == -EWOULDBLOCK ? LOCK_BUSY : LOCK_FAILED;
}

/* No loop runs yet, so the signals are waited for by hand: waiting must end as fast as everything
 * else. */
static enum lock_result wait_lock(const char *path, int *fd, struct err *e)
{
	sigset_t stop, before;
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	enum lock_result r;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, &before);
	while ((r = try_lock(path, fd, e)) == LOCK_BUSY)
		if (sigtimedwait(&stop, NULL, &pause) > 0) {
			r = LOCK_STOPPED;
			break;
		}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

enum lock_result folder_lock(const struct config *c, bool wait, int *fd, struct err *e)
{
	auto_free char *path = fs_join(c->state_dir, "lock");
	if (fs_mkdirs(c->state_dir, 0700, e) < 0)
		return LOCK_FAILED;
	enum lock_result r = try_lock(path, fd, e);
	return r == LOCK_BUSY && wait ? wait_lock(path, fd, e) : r;
}
