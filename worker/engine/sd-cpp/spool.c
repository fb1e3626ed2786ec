/* spool.c - see spool.h. Two buffers: one is filled on the loop, the other written in the pool.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define CHUNK (256u << 10)
#define FULL  (1u << 20)
#define MOST  (8u << 20) /* FULL and what one read from the network can bring */

struct spool {
	struct work work;
	struct pool *pool;
	const struct spool_events *ev;
	void *arg;
	char *path;
	struct buf filling, writing;
	int fd;
	bool busy, finishing, dropped, waited;
	struct err err;
};

struct spool *spool_new(struct pool *pool, const char *path, const struct spool_events *ev,
			void *arg)
{
	struct spool *s = xcalloc(1, sizeof *s);
	*s = (struct spool){.pool = pool, .ev = ev, .arg = arg, .path = xstrdup(path), .fd = -1};
	buf_init(&s->filling, MOST);
	buf_init(&s->writing, MOST);
	return s;
}

static void destroy(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buf_fini(&s->filling);
	buf_fini(&s->writing);
	free(s->path);
	free(s);
}

static void write_some(struct work *w)
{
	struct spool *s = container_of(w, struct spool, work);
	size_t done = 0;
	if (s->fd < 0)
		s->fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (s->fd >= 0 && done < s->writing.len) {
		ssize_t n = write(s->fd, s->writing.data + done, s->writing.len - done);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (s->fd < 0 || done < s->writing.len)
		err_sys(&s->err, errno, "cannot write %s", s->path);
}

static void submit(struct spool *s);

static void written(struct work *w)
{
	struct spool *s = container_of(w, struct spool, work);
	s->busy = false;
	buf_reset(&s->writing);
	if (s->dropped) {
		destroy(s);
		return;
	}
	if (!s->err.code && s->filling.len >= (s->finishing ? 1 : CHUNK)) {
		submit(s);
	} else if (s->finishing) {
		s->ev->finished(s->arg, s->err.code ? &s->err : NULL);
		destroy(s);
		return;
	}
	if (s->waited && !spool_full(s)) {
		s->waited = false;
		s->ev->room(s->arg);
	}
}

static void submit(struct spool *s)
{
	struct buf b = s->writing;
	s->writing = s->filling;
	s->filling = b;
	s->busy = true;
	s->work = (struct work){.run = write_some, .after = written};
	pool_submit(s->pool, &s->work);
}

struct buf *spool_buf(struct spool *s)
{
	return &s->filling;
}

void spool_push(struct spool *s)
{
	if (!s->busy && s->filling.len >= CHUNK)
		submit(s);
}

bool spool_full(struct spool *s)
{
	bool full = s->busy && s->filling.len >= FULL;
	s->waited |= full;
	return full;
}

void spool_finish(struct spool *s)
{
	s->finishing = true;
	if (!s->busy)
		submit(s);
}

void spool_drop(struct spool *s)
{
	if (!s)
		return;
	s->dropped = true;
	if (!s->busy)
		destroy(s);
}
