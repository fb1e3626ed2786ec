/* fetch_whole.c - a fetch whose whole answer is kept in memory, up to a cap.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/net/fetch_internal.h"

struct whole {
	struct buf body;
	fetch_done *done;
	void *arg;
	bool too_long;
};

static bool on_head(void *arg, const struct fetch_head *h)
{
	struct whole *w = arg;
	w->too_long = h->length != UINT64_MAX && h->length > w->body.max;
	return !w->too_long;
}

static enum fetch_verdict on_data(void *arg, const void *data, size_t len)
{
	struct whole *w = arg;
	w->too_long = !buf_add(&w->body, data, len);
	return w->too_long ? FETCH_STOP : FETCH_GO;
}

static void on_end(void *arg, const struct fetch_end *end)
{
	struct whole *w = arg;
	struct fetch_reply reply = {.body = w->body.data ? w->body.data : "", .len = w->body.len};
	if (w->too_long)
		err_set(&reply.err, EMSGSIZE, "the answer is longer than %zu bytes", w->body.max);
	else if (end->fault)
		reply.err = end->err;
	else
		reply.status = end->status;
	w->done(w->arg, &reply);
}

static void release(void *arg)
{
	struct whole *w = arg;
	buf_fini(&w->body);
	free(w);
}

struct fetch *fetch_whole(struct transport *t, const struct fetch_request *r, size_t max,
			  fetch_done *done, void *arg)
{
	static const struct fetch_events events = {on_head, on_data, on_end};
	struct whole *w = xcalloc(1, sizeof *w);
	buf_init(&w->body, max);
	w->done = done;
	w->arg = arg;
	struct fetch *f = fetch_start(t, r, &events, w);
	f->release = release;
	return f;
}
