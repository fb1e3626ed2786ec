/* claim.c - keeps the ledger behind the file: what is written is claimed for this boot as soon as
 * a write is back, what is on the disk for good as soon as fdatasync is back, never before. See
 * ledger.h for the two kinds. SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/mem.h"
#include "worker/model/download_internal.h"
#include "worker/model/part.h"

/* A kill costs at most so much, besides the chunk that each stream is filling. */
#define CLAIM_BYTES (1u << 20)
#define CLAIM_MS    200
/* Synced again once so much is new, or so long after, and as soon as the last sync is back. */
#define SYNC_BYTES (4u << 20)
#define SYNC_MS	   1000

static void claim_run(struct work *w)
{
	struct claim *c = container_of(w, struct claim, work);
	struct download *d = container_of(c, struct download, claim);
	(void)!ledger_save(c->fd, d->ledger, &c->next, c->slot_sync, &c->err);
}

static void claim_after(struct work *w)
{
	struct claim *c = container_of(w, struct claim, work);
	struct download *d = container_of(c, struct download, claim);
	download_job_done(d);
	c->busy = false;
	if (c->err.code)
		download_fail(d, true, &c->err);
	download_pump(d);
}

static void save(struct download *d)
{
	struct claim *c = &d->claim;
	struct ledger *l = &c->next;
	ledger_set_url(l, d->url);
	snprintf(l->etag, sizeof l->etag, "%s", d->etag);
	snprintf(l->modified, sizeof l->modified, "%s", d->modified);
	snprintf(l->sha256, sizeof l->sha256, "%s", d->sha256 ? d->sha256 : "");
	l->total = d->total;
	l->written = d->done;
	l->synced = c->synced;
	c->slot_sync = c->fresh;
	c->fresh = false;
	c->unclaimed = 0;
	c->claimed_ms = clock_now(d->clock);
	c->busy = true;
	c->err = (struct err)ERR_INIT;
	c->work = (struct work){.run = claim_run, .after = claim_after};
	download_submit(d, &c->work);
}

static void sync_run(struct work *w)
{
	struct claim *c = container_of(w, struct claim, sync_work);
	struct download *d = container_of(c, struct download, claim);
	(void)!part_sync(d->fd, d->part, &c->sync_err);
}

static void sync_after(struct work *w)
{
	struct claim *c = container_of(w, struct claim, sync_work);
	struct download *d = container_of(c, struct download, claim);
	download_job_done(d);
	c->sync_busy = false;
	if (c->sync_err.code) {
		/* The kernel may have dropped what it had taken: only what was synced counts. */
		d->done = c->synced;
		c->unclaimed++;
		download_fail(d, true, &c->sync_err);
	} else {
		c->synced = c->syncing;
		c->fresh = true;
	}
	download_pump(d);
}

static void sync_data(struct download *d)
{
	struct claim *c = &d->claim;
	c->syncing = d->done;
	c->synced_ms = clock_now(d->clock);
	c->sync_busy = true;
	c->sync_err = (struct err)ERR_INIT;
	c->sync_work = (struct work){.run = sync_run, .after = sync_after};
	download_submit(d, &c->sync_work);
}

void claim_written(struct download *d, uint64_t bytes)
{
	d->claim.unclaimed += bytes;
	claim_pump(d);
}

/* A server without ranges can't go on where we were: nothing to claim. */
static bool claims(const struct download *d)
{
	return !d->no_ranges && d->total != TOTAL_UNKNOWN && !d->claim.busy;
}

void claim_pump(struct download *d)
{
	struct claim *c = &d->claim;
	uint64_t now = clock_now(d->clock);
	if (d->changed || c->fd < 0 || (d->state != DL_RUNNING && d->state != DL_ROOM))
		return;
	if (claims(d) && (c->fresh || c->unclaimed >= CLAIM_BYTES ||
			  (c->unclaimed && now - c->claimed_ms >= CLAIM_MS)))
		save(d);
	uint64_t loose = extents_bytes(&d->done) - extents_bytes(&c->synced);
	if (!c->sync_busy && loose && (loose >= SYNC_BYTES || now - c->synced_ms >= SYNC_MS))
		sync_data(d);
}

void claim_last(struct download *d)
{
	struct claim *c = &d->claim;
	bool worth = c->unclaimed && c->fd >= 0 && !d->no_ranges && d->total != TOTAL_UNKNOWN;
	c->unclaimed = 0;
	if (worth && !c->err.code)
		save(d);
}
