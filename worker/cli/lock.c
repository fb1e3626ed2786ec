/* lock.c - see lock.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/lock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define RETRY_MS 100

static char *lock_path(const struct config *c)
{
	return fs_join(c->state_dir, "lock");
}

static enum lock_result try_lock(const char *path, int *fd, struct err *e)
{
	*fd = fs_lock(path, e);
	if (*fd >= 0)
		return LOCK_HELD;
	return *fd == -EWOULDBLOCK ? LOCK_BUSY : LOCK_FAILED;
}

/* No loop runs yet, so the signals are waited for by hand: waiting must end as fast as everything
 * else. */
enum lock_result folder_lock_wait(const struct config *c, struct log *log, int *fd, struct err *e)
{
	auto_free char *path = lock_path(c);
	sigset_t stop, before;
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	enum lock_result r;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, &before);
	log_info(log, "main", NULL, "another daemon serves %s, waiting for it to end", c->dir);
	while ((r = try_lock(path, fd, e)) == LOCK_BUSY)
		if (sigtimedwait(&stop, NULL, &pause) > 0) {
			r = LOCK_STOPPED;
			break;
		}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

enum lock_result folder_lock(const struct config *c, int *fd, struct err *e)
{
	auto_free char *path = lock_path(c);
	if (fs_mkdirs(c->state_dir, 0700, e) < 0)
		return LOCK_FAILED;
	return try_lock(path, fd, e);
}
