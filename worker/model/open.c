/* open.c - the first step of a download: the lock, another look for the file, and what an earlier
 * attempt left; see download_internal.h. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/model/download_internal.h"
#include "worker/model/find.h"
#include "worker/model/name.h"
#include "worker/model/part.h"

struct opening {
	struct err err;
	bool busy, found;
	struct ledger old;
	struct extents good; /* what may be built on */
	bool kept;	     /* old fits what is asked for */
};

static int make_folders(struct download *d, struct err *e)
{
	auto_free char *locks = fs_join(d->root, NAME_STORE_DIR "/locks");
	auto_free char *own = fs_join(d->root, d->folder);
	int rc = fs_mkdirs(locks, 0755, e);
	return rc < 0 ? rc : fs_mkdirs(own, 0755, e);
}

/* Whether the old part is of the file that is asked for: the same hash, or no hash and the same
 * address, of whose server one can ask whether the file is the same still. */
static bool fits(const struct download *d, const struct ledger *l)
{
	if (d->sha256)
		return strcmp(l->sha256, d->sha256) == 0 ||
		       (!l->sha256[0] && ledger_has_url(l, d->url));
	return ledger_has_url(l, d->url) && answer_validator(l->etag, l->modified);
}

/* Claims beyond the end of the file are none: somebody cut it. */
static void within(struct extents *x, uint64_t size)
{
	while (x->n && x->spans[x->n - 1].to > size)
		x->n--;
}

/* What the kernel had taken counts if it is the same kernel, and if it can still write it. */
static void weigh(struct download *d, struct opening *o)
{
	struct stat st;
	bool same_boot = o->old.boot[0] && strcmp(o->old.boot, d->claim.next.boot) == 0;
	o->good = o->old.synced;
	if (same_boot && part_sync(d->fd, d->part, NULL) == 0)
		o->good = o->old.written;
	within(&o->good, fstat(d->fd, &st) == 0 ? (uint64_t)st.st_size : 0);
}

/* A part that no ledger lies beside is not ours to empty. */
static int foreign_part(struct download *d, struct err *e)
{
	struct stat st;
	if (lstat(d->part, &st) < 0 || (S_ISREG(st.st_mode) && !st.st_size))
		return 0;
	return err_set(e, EEXIST,
		       "%s is no download of this program; it is yours and stays: move it away",
		       d->part);
}

/* The ledger comes first, and for good: it is what tells that the part is ours. */
static int open_ledger(struct download *d, struct err *e)
{
	auto_free char *dir = fs_join(d->root, d->folder);
	bool fresh = !fs_exists(d->ledger);
	int rc = fresh ? foreign_part(d, e) : 0;
	if (rc == 0)
		rc = d->claim.fd = ledger_open(d->ledger, e);
	return rc >= 0 && fresh ? fs_sync_dir(dir, e) : rc;
}

/* What the old ledger claims must be gone before what it claims it of. */
static int start_anew(struct download *d, bool had, struct err *e)
{
	struct ledger *l = &d->claim.next;
	ledger_set_url(l, d->url);
	int rc = had ? ledger_save(d->claim.fd, d->ledger, l, true, e) : 0;
	return rc < 0 ? rc : part_cut(d->fd, d->part, e);
}

static int open_files(struct download *d, struct opening *o)
{
	struct err ignored = ERR_INIT;
	bool had = ledger_load(d->ledger, &o->old, &ignored) == 0;
	int rc = open_ledger(d, &o->err);
	if (rc < 0)
		return rc;
	d->fd = part_open(d->part, &o->err);
	if (d->fd < 0)
		return d->fd;
	if (had)
		d->claim.next.seq = o->old.seq;
	o->kept = had && fits(d, &o->old);
	if (o->kept)
		weigh(d, o);
	o->kept = o->kept && o->good.n;
	return o->kept ? 0 : start_anew(d, had, &o->err);
}

static void run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct opening *o = d->step;
	struct source_file f = {
	    .url = d->url, .filename = d->filename, .sha256 = d->sha256, .approx_bytes = d->approx};
	auto_free char *path = NULL;
	if (make_folders(d, &o->err) < 0)
		return;
	d->lock_fd = fs_lock(d->lock, &o->err);
	o->busy = d->lock_fd == -EWOULDBLOCK;
	if (d->lock_fd < 0)
		return;
	/* Whoever held the lock may have brought it. */
	int rc = find_file(d->root, d->folder, &f, &path, NULL, &o->err);
	o->found = rc == 0;
	if (rc != -ENOENT)
		return;
	err_clear(&o->err);
	(void)!open_files(d, o);
}

static void go_on(struct download *d, const struct opening *o)
{
	if (o->kept) {
		d->total = o->old.total;
		memcpy(d->etag, o->old.etag, sizeof d->etag);
		memcpy(d->modified, o->old.modified, sizeof d->modified);
		d->done = o->good;
		d->best = extents_bytes(&d->done);
		d->claim.synced = o->good; /* weigh() synced it, or it was */
	}
	d->state = DL_RUNNING;
	width_init(&d->width, clock_now(d->clock));
	d->width.bytes = d->received;
	hasher_pump(d);
	download_pump(d);
}

static void on_wait(void *arg)
{
	open_begin(arg);
}

static void wait_for_other(struct download *d)
{
	if (!d->told_wait)
		log_info(d->store->deps.log, "model", d->job_id,
			 "another process downloads %s; waiting for it", d->filename);
	d->told_wait = true;
	d->state = DL_WAITING;
	timer_start(&d->retry, d->clock, d->store->tune.wait_ms, on_wait, d);
}

static void after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct opening *o = d->step;
	d->step = NULL;
	download_job_done(d);
	if (d->state == DL_ENDING) {
		download_pump(d);
	} else if (o->busy) {
		wait_for_other(d);
	} else if (o->found) {
		err_clear(&o->err);
		download_fail(d, false, &o->err); /* code 0: all is well */
	} else if (o->err.code) {
		/* The owner's file in the way is there next time, too; a bad disk may not be. */
		download_fail(d, o->err.code != EEXIST, &o->err);
	} else {
		go_on(d, o);
	}
	free(o);
}

void open_begin(struct download *d)
{
	d->state = DL_OPENING;
	d->step = xcalloc(1, sizeof(struct opening));
	d->work = (struct work){.run = run, .after = after};
	download_submit(d, &d->work);
}

/* ---- starting over ---- */

static void empty_run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct err *e = d->step;
	struct claim *c = &d->claim;
	/* The ledger first: it must not claim what is cut. */
	c->next.written.n = c->next.synced.n = 0;
	if (ledger_save(c->fd, d->ledger, &c->next, true, e) == 0)
		(void)!part_cut(d->fd, d->part, e);
}

static void empty_after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct err *e = d->step;
	d->step = NULL;
	download_job_done(d);
	if (e->code) {
		download_fail(d, true, e);
	} else if (d->state != DL_ENDING) {
		d->state = DL_RUNNING;
		hasher_reset(d);
		width_init(&d->width, clock_now(d->clock));
		d->width.bytes = d->received;
	}
	free(e);
	download_pump(d);
}

void empty_begin(struct download *d)
{
	d->state = DL_EMPTYING;
	d->changed = d->roomy = false;
	d->done.n = d->claim.synced.n = 0;
	d->claim.unclaimed = 0;
	d->claim.fresh = false;
	d->total = TOTAL_UNKNOWN;
	d->etag[0] = d->modified[0] = '\0';
	d->step = xcalloc(1, sizeof(struct err));
	d->work = (struct work){.run = empty_run, .after = empty_after};
	download_submit(d, &d->work);
}
