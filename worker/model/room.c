/* room.c - before the first byte of a file: what the quota lets stay, and what the disk has left.
 * First a look (pool), then a choice (loop thread: it knows what is needed), then the deed (pool).
 * See download_internal.h. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/base/mem.h"
#include "worker/model/download_internal.h"
#include "worker/model/part.h"
#include "worker/model/quota.h"

struct looking {
	struct quota_plan plan;
	struct err err;
	uint64_t size, have; /* of this file: all of it (0: not known), and what is here already */
	uint64_t gone, disk; /* disk: what may be filled of it */
	bool chose;	     /* plan is no other thread's to change */
	bool final;	     /* the error does not get better by trying again */
};

static void step(struct download *d, void (*run)(struct work *), void (*after)(struct work *))
{
	d->work = (struct work){.run = run, .after = after};
	download_submit(d, &d->work);
}

static void end(struct download *d)
{
	struct looking *k = d->step;
	d->step = NULL;
	d->room = NULL;
	if (d->state != DL_ENDING)
		d->state = DL_RUNNING;
	if (k->err.code)
		download_fail(d, !k->final, &k->err);
	d->roomy = d->state == DL_RUNNING;
	if (d->most > k->disk)
		d->most = k->disk;
	quota_fini(&k->plan);
	free(k);
	if (d->roomy)
		download_wake(d);
	download_pump(d);
}

static void evict_run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct looking *k = d->step;
	struct statvfs fs;
	k->gone = quota_evict(d->root, &k->plan);
	if (part_room(d->root, d->filename, k->size > k->have ? k->size - k->have : 0, &k->err))
		return;
	if (statvfs(d->root, &fs) == 0)
		k->disk = (uint64_t)fs.f_bavail * fs.f_frsize / 10 * 9;
}

static void evict_after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct looking *k = d->step;
	char size[24];
	download_job_done(d);
	part_size_text(k->gone, size);
	if (d->store && k->gone) {
		d->store->kept -= k->gone < d->store->kept ? k->gone : d->store->kept;
		log_info(d->store->deps.log, "model", d->job_id,
			 "made room for %s: removed %s of models that no job wanted for longest",
			 d->filename, size);
	}
	end(d);
}

static void look_run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct looking *k = d->step;
	if (quota_scan(d->root, &k->plan, &k->err) < 0)
		k->plan.bytes = 0;
}

static bool needed(void *arg, const char *path)
{
	struct download *d = arg;
	return strcmp(path, d->path) == 0 || store_needs(d->store, path);
}

/* Its own half is counted once: as the whole. */
static void leave_out(struct quota_plan *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->items[i].path, path) == 0) {
			p->bytes -= p->items[i].bytes;
			p->items[i].bytes = 0;
		}
}

/* What others that come now were promised counts as if it were here. */
static void add_promised(struct download *d, struct quota_plan *p)
{
	list_each (n, &d->store->downloads) {
		struct download *o = download_of(n);
		uint64_t size = o->total == TOTAL_UNKNOWN ? o->approx : o->total, here = 0;
		if (o == d || (!o->roomy && !(o->room && o->room->chose)))
			continue;
		for (size_t i = 0; i < p->n; i++)
			if (strcmp(p->items[i].path, o->path) == 0)
				here = p->items[i].bytes;
		p->bytes += size > here ? size - here : 0;
	}
}

/* This one was given room, which those whose size nobody knows must not take. */
static void narrow_others(struct download *d, uint64_t size)
{
	list_each (n, &d->store->downloads) {
		struct download *o = download_of(n);
		if (o != d && o->total == TOTAL_UNKNOWN)
			o->most -= size < o->most ? size : o->most;
	}
}

static void look_after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct looking *k = d->step;
	download_job_done(d);
	if (d->state == DL_ENDING || k->err.code) {
		end(d);
		return;
	}
	k->chose = true;
	leave_out(&k->plan, d->path);
	add_promised(d, &k->plan);
	int rc = quota_choose(&k->plan, d->filename, d->store->quota, k->size, needed, d, &k->err);
	k->final = rc == -EFBIG;
	if (rc < 0) {
		end(d);
		return;
	}
	d->most = k->plan.left;
	if (d->store->quota)
		narrow_others(d, k->size);
	step(d, evict_run, evict_after);
}

bool download_evicts(const struct download *d, const char *path)
{
	const struct looking *k = d->room;
	if (!k || !k->chose)
		return false;
	for (size_t i = 0; i < k->plan.n; i++)
		if (k->plan.items[i].chosen && strcmp(k->plan.items[i].path, path) == 0)
			return true;
	return false;
}

void room_begin(struct download *d)
{
	struct looking *k = xcalloc(1, sizeof *k);
	k->size = d->total == TOTAL_UNKNOWN ? d->approx : d->total;
	k->have = extents_bytes(&d->done);
	d->step = d->room = k;
	d->state = DL_ROOM;
	step(d, look_run, look_after);
}
