/* hasher.c - the SHA-256 that follows the whole beginning of the file: from memory while one
 * stream brings it, else read back, which the page cache serves. See download_internal.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "worker/model/download_internal.h"
#include "worker/model/part.h"

#define QUEUE_MAX 8
#define BACK_MAX  CHUNK_BYTES

void hasher_init(struct hasher *h)
{
	*h = (struct hasher){.sha = sha256_new()};
	list_init(&h->queue);
}

static void drop(struct download *d)
{
	struct hasher *h = &d->hasher;
	for (struct list_node *n; (n = list_pop_front(&h->queue));)
		chunk_unref(d, list_entry(n, struct chunk, hash_node));
	sha256_free(h->sha);
	free(h->back);
}

void hasher_fini(struct download *d)
{
	drop(d);
	d->hasher = (struct hasher){0};
}

void hasher_reset(struct download *d) /* nothing is under way */
{
	drop(d);
	hasher_init(&d->hasher);
}

void hasher_offer(struct download *d, struct chunk *c)
{
	struct hasher *h = &d->hasher;
	if (c->at == h->next && h->queue.len < QUEUE_MAX) {
		c->refs++;
		h->next += c->len;
		list_push_back(&h->queue, &c->hash_node);
	}
	hasher_pump(d);
}

static void run(struct work *w)
{
	struct hasher *h = container_of(w, struct hasher, work);
	struct download *d = container_of(h, struct download, hasher);
	if (h->chunk)
		sha256_update(h->sha, h->chunk->data, h->chunk->len);
	else if (part_read(d->fd, d->part, h->back, h->len, h->pos, &h->err) == 0)
		sha256_update(h->sha, h->back, h->len);
}

static void after(struct work *w)
{
	struct hasher *h = container_of(w, struct hasher, work);
	struct download *d = container_of(h, struct download, hasher);
	download_job_done(d);
	h->busy = false;
	if (h->err.code) {
		download_fail(d, true, &h->err);
	} else {
		h->pos += h->len;
	}
	chunk_unref(d, steal(&h->chunk));
	hasher_pump(d);
	download_pump(d);
}

/* False: there is nothing to read back. */
static bool read_back(struct download *d)
{
	struct hasher *h = &d->hasher;
	uint64_t reach = extents_reach(&d->done, h->pos);
	if (reach == h->pos)
		return false;
	if (!h->back)
		h->back = xmalloc(BACK_MAX);
	h->len = reach - h->pos > BACK_MAX ? BACK_MAX : (size_t)(reach - h->pos);
	h->next = h->pos + h->len;
	return true;
}

void hasher_pump(struct download *d)
{
	struct hasher *h = &d->hasher;
	struct list_node *n;
	if (h->busy || h->err.code || d->state == DL_ENDING || d->changed)
		return;
	n = list_pop_front(&h->queue);
	h->chunk = n ? list_entry(n, struct chunk, hash_node) : NULL;
	if (h->chunk)
		h->len = h->chunk->len;
	else if (!read_back(d))
		return;
	h->busy = true;
	h->work = (struct work){.run = run, .after = after};
	download_submit(d, &h->work);
}
