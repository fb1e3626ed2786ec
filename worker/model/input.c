/* input.c - see input.h. What comes is written by the pool, one piece at a time, while the next
 * piece fills; when both are full the exchange pauses.
 *
 *   try ──▶ streaming ──end of answer──▶ flushing ──▶ (done)
 *    ▲          │ cut, stalled, 5xx
 *    └─ backoff ┘ twice
 *
 * SPDX-License-Identifier: MIT */
#include "worker/model/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "worker/model/data_url.h"
#include "worker/model/internal.h"

#define STALL_MS     30000u
#define TOTAL_MS     1800000u /* an answer that drips */
#define RETRIES	     2
#define BACKOFF_MS   1000u  /* then four times as much */
#define RETRY_MAX_MS 30000u /* of what a server asks for */
#define PIECE	     (256u << 10)

struct input {
	const struct store_deps *d;
	struct store *store;
	const struct fetch_policy *policy; /* NULL: the store's, as it is then */
	char *url, *path;
	size_t max;
	input_done *done;
	void *arg;

	struct fetch *fetch;
	struct timer timer; /* backoff */
	int tries, status;
	uint64_t retry_after_ms;
	bool paused, answered, doomed;

	/* The pool's while `busy`. */
	struct work work;
	struct buf writing;
	int fd;
	struct err write_err;
	bool busy;

	struct buf filling;
	uint64_t taken, total; /* bytes of this try; total UINT64_MAX: not said */
	struct err err;	       /* why we stopped it */
	struct fetch_end end;  /* of this try, once `answered` */
};

static void input_free(struct input *in)
{
	timer_stop(&in->timer);
	if (in->fd >= 0)
		close(in->fd);
	buf_fini(&in->writing);
	buf_fini(&in->filling);
	free(in->url);
	free(in->path);
	free(in);
}

static void finish(struct input *in, const struct err *err, bool retryable)
{
	struct err e = err ? *err : (struct err)ERR_INIT;
	input_done *done = in->doomed ? NULL : in->done;
	void *arg = in->arg;
	input_free(in);
	if (done)
		done(arg, e.code ? &e : NULL, retryable);
}

/* ---- in the pool ---- */

static void open_path(struct input *in)
{
	in->fd = open(in->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (in->fd < 0)
		err_sys(&in->write_err, errno, "cannot write %s", in->path);
}

static void write_all(struct input *in, const char *data, size_t len)
{
	while (len && !in->write_err.code) {
		ssize_t n = write(in->fd, data, len);
		if (n < 0 && errno != EINTR)
			err_sys(&in->write_err, errno, "cannot write %s", in->path);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static void run_write(struct work *w)
{
	struct input *in = container_of(w, struct input, work);
	if (in->fd < 0)
		open_path(in);
	write_all(in, in->writing.data, in->writing.len);
}

static void run_decode(struct work *w)
{
	struct input *in = container_of(w, struct input, work);
	unsigned char *data;
	size_t len;
	if (data_url_decode(in->url, in->max, &data, &len, &in->write_err))
		return;
	open_path(in);
	write_all(in, (char *)data, len);
	free(data);
}

/* ---- on the loop ---- */

static void after_write(struct work *w);

static void write_piece(struct input *in)
{
	struct buf full = in->filling;
	in->filling = in->writing;
	in->writing = full;
	buf_reset(&in->filling);
	in->busy = true;
	in->work = (struct work){.run = run_write, .after = after_write};
	pool_submit(in->d->pool, &in->work);
}

static void flush(struct input *in)
{
	if (in->filling.len)
		write_piece(in);
	else
		finish(in, NULL, false);
}

static void settle(struct input *in);

static void after_write(struct work *w)
{
	struct input *in = container_of(w, struct input, work);
	in->busy = false;
	if (in->doomed) {
		input_free(in);
	} else if (in->answered) {
		settle(in);
	} else if (in->paused) { /* a disk that failed stops it there, see on_data() */
		in->paused = false;
		fetch_resume(in->fetch);
	}
}

static void after_decode(struct work *w)
{
	struct input *in = container_of(w, struct input, work);
	in->busy = false;
	finish(in, in->write_err.code ? &in->write_err : NULL, false);
}

static int too_big(struct input *in, uint64_t bytes)
{
	return err_set(&in->err, EFBIG, "the input is larger than allowed: %s%llu of %zu bytes",
		       bytes == UINT64_MAX ? "more than " : "",
		       (unsigned long long)(bytes == UINT64_MAX ? in->max : bytes), in->max);
}

static bool on_head(void *arg, const struct fetch_head *h)
{
	struct input *in = arg;
	in->status = h->status;
	in->retry_after_ms = h->retry_after_ms;
	in->total = h->length;
	if (h->status != 200)
		return false;
	if (h->length != UINT64_MAX && h->length > in->max)
		return !too_big(in, h->length);
	return true;
}

static enum fetch_verdict on_data(void *arg, const void *data, size_t len)
{
	struct input *in = arg;
	if (!in->busy && in->write_err.code)
		return FETCH_STOP;
	if (in->filling.len + len > PIECE) {
		in->paused = in->busy;
		if (in->paused)
			return FETCH_PAUSE;
		write_piece(in);
	}
	if (in->taken + len > in->max) {
		too_big(in, UINT64_MAX);
		return FETCH_STOP;
	}
	in->taken += len;
	return buf_add(&in->filling, data, len) ? FETCH_GO : FETCH_STOP;
}

static void start_try(void *arg);

/* Whether there is another try. */
static bool again(struct input *in)
{
	if (in->tries > RETRIES)
		return false;
	uint64_t ms = BACKOFF_MS << (2 * (in->tries - 1));
	if (in->retry_after_ms > ms)
		ms = in->retry_after_ms < RETRY_MAX_MS ? in->retry_after_ms : RETRY_MAX_MS;
	timer_start(&in->timer, in->d->clock, ms, start_try, in);
	return true;
}

/* The answer's own refusals; a server in trouble (5xx) may be asked again. */
static void refused(struct input *in)
{
	struct err e = ERR_INIT;
	bool trouble = in->status >= 500;
	if (trouble && again(in))
		return;
	err_set(&e, EIO, "the input's server answers %d", in->status);
	finish(in, &e, trouble);
}

/* The answer has ended, and no piece of it is being written. */
static void settle(struct input *in)
{
	const struct fetch_end *end = &in->end;
	if (in->err.code)
		finish(in, &in->err, false);
	else if (in->status && in->status != 200)
		refused(in);
	else if (in->write_err.code)
		finish(in, &in->write_err, false);
	else if (end->fault == FETCH_OK && in->taken == 0)
		finish(in, &(struct err){EINVAL, "the input is an empty file"}, false);
	else if (end->fault == FETCH_OK)
		flush(in);
	else if (end->fault == FETCH_REFUSED || !again(in))
		finish(in, &end->err, end->fault != FETCH_REFUSED);
}

static void on_end(void *arg, const struct fetch_end *end)
{
	struct input *in = arg;
	in->fetch = NULL;
	in->answered = true;
	in->end = *end;
	if (!in->busy)
		settle(in);
}

static void start_try(void *arg)
{
	static const struct fetch_events events = {on_head, on_data, on_end};
	struct input *in = arg;
	struct fetch_request r = {.url = in->url,
				  .policy = in->policy ? in->policy : store_policy(in->store),
				  .stall_ms = STALL_MS,
				  .total_ms = TOTAL_MS};
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	in->tries++;
	in->status = 0;
	in->retry_after_ms = in->taken = 0;
	in->total = UINT64_MAX;
	in->answered = in->paused = false;
	buf_reset(&in->filling);
	in->fetch = fetch_start(in->d->net, &r, &events, in);
}

static void start_decode(struct input *in)
{
	in->busy = true;
	in->work = (struct work){.run = run_decode, .after = after_decode};
	pool_submit(in->d->pool, &in->work);
}

struct input *input_fetch_by(struct store *s, const struct fetch_policy *p, const char *url,
			     const char *path, size_t max, input_done *done, void *arg)
{
	struct input *in = xcalloc(1, sizeof *in);
	in->store = s;
	in->policy = p;
	in->d = &s->deps;
	in->url = xstrdup(url);
	in->path = xstrdup(path);
	in->max = max;
	in->done = done;
	in->arg = arg;
	in->fd = -1;
	in->total = UINT64_MAX;
	buf_init(&in->writing, PIECE);
	buf_init(&in->filling, PIECE);
	if (data_url(url))
		start_decode(in);
	else
		start_try(in);
	return in;
}

struct input *input_fetch(struct store *s, const char *url, const char *path, size_t max,
			  input_done *done, void *arg)
{
	return input_fetch_by(s, NULL, url, path, max, done, arg);
}

uint64_t input_taken(const struct input *in, uint64_t *total)
{
	*total = in->total;
	return in->taken;
}

void input_cancel(struct input *in)
{
	if (!in || in->doomed)
		return;
	in->doomed = true;
	fetch_cancel(in->fetch);
	in->fetch = NULL;
	if (!in->busy)
		input_free(in);
}
