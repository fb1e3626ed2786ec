/* finish.c - the last step of a download: hash compared, synced, recorded, renamed; see
 * download_internal.h. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "worker/model/download_internal.h"
#include "worker/model/part.h"
#include "worker/model/record.h"

struct finishing {
	struct err err;
	char hex[SHA256_HEX_LEN];
	bool wrong;
};

/* What lies at the place may go only when it is still what we brought there. Who put another file
 * there while this one came is left with it. */
static int move(struct download *d, const struct record *old, struct err *e)
{
	if (old->downloaded && record_alive(d->root, old))
		return fs_rename(d->part, d->path, e);
	int rc = part_place(d->part, d->path, e);
	if (rc != -EEXIST)
		return rc;
	record_remove(d->root, d->folder, d->filename);
	err_clear(e);
	return err_set(
	    e, EEXIST,
	    "%s was put there meanwhile; it is yours and stays: move it away or rename it",
	    d->path);
}

/* The record comes before the rename: it names the inode, so it counts for nothing until the file
 * is there, and a file without one would be taken for the owner's. */
static int put_in_place(struct download *d, struct finishing *f)
{
	struct stat st;
	struct record old = {0};
	struct record r = {.folder = d->folder,
			   .filename = d->filename,
			   .sha256 = f->hex,
			   .url = d->url,
			   .downloaded = true};
	int rc = part_sync(d->fd, d->part, &f->err);
	if (rc == 0 && fstat(d->fd, &st) < 0)
		rc = err_sys(&f->err, errno, "cannot read %s", d->part);
	if (rc == 0 && (uint64_t)st.st_size != d->total)
		rc = err_set(&f->err, EIO, "%s has another size than was written", d->part);
	if (rc < 0)
		return rc;
	record_stamp(&r, &st, d->part);
	(void)!record_load(d->root, d->folder, d->filename, &old, NULL);
	rc = record_save(d->root, &r, &f->err);
	if (rc == 0)
		rc = move(d, &old, &f->err);
	record_fini(&old);
	return rc;
}

static void run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct finishing *f = d->step;
	sha256_final_hex(steal(&d->hasher.sha), f->hex);
	f->wrong = d->sha256 && strcmp(d->sha256, f->hex) != 0;
	if (f->wrong) {
		if (d->bad_hashes) { /* the first time it is emptied and filled again */
			part_unlink(d->part);
			if (!fs_exists(d->part)) /* without its ledger it would be the owner's */
				part_unlink(d->ledger);
		}
		err_set(&f->err, EBADMSG,
			"%s came with the SHA-256 %s, but the offer says %s; it was deleted",
			d->filename, f->hex, d->sha256);
	} else if (put_in_place(d, f) == 0 || !fs_exists(d->part)) {
		/* Also where only the folder's sync failed: the file is in its place by then. */
		part_unlink(d->ledger);
	}
}

static void well_done(struct download *d)
{
	struct err none = ERR_INIT;
	char size[24];
	part_size_text(d->total, size);
	log_info(d->store->deps.log, "model", d->job_id, "downloaded %s/%s, %s", d->folder,
		 d->filename, size);
	d->store->kept += d->total;
	d->claim.unclaimed = 0;
	download_fail(d, false, &none);
}

static void once_more(struct download *d, const struct err *e)
{
	log_warn(d->store->deps.log, "model", d->job_id, "%s; once more", e->text);
	d->state = DL_RUNNING;
	d->changed = true;
	hasher_reset(d);
}

static void after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	struct finishing *f = d->step;
	d->step = NULL;
	download_job_done(d);
	d->claim.unclaimed = 0;
	if (d->state == DL_ENDING)
		d->err = f->err; /* too late to stop: it is in its place, or not */
	else if (!f->err.code)
		well_done(d);
	else if (f->wrong && ++d->bad_hashes < 2)
		once_more(d, &f->err);
	else
		download_fail(d, !f->wrong && f->err.code != EEXIST, &f->err);
	free(f);
	download_pump(d);
}

void finish_begin(struct download *d)
{
	d->state = DL_FINISHING;
	d->step = xcalloc(1, sizeof(struct finishing));
	d->work = (struct work){.run = run, .after = after};
	download_submit(d, &d->work);
}
