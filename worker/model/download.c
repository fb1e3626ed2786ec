/* download.c - see download.h: its life, its troubles, and who wants it.
 * SPDX-License-Identifier: MIT */
#include "worker/model/download.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/model/download_internal.h"
#include "worker/model/name.h"

#define TICK_MS		   50
#define SAY_MS		   10000
#define BACKOFF_MAX_MS	   30000
#define RETRY_AFTER_MAX_MS (UINT64_C(10) * 60 * 1000)
#define PROGRESS_BYTES	   (64u << 10) /* fewer new ones are no progress */

struct download *download_of(struct list_node *n)
{
	return list_entry(n, struct download, node);
}

/* ---- works ---- */

void download_submit(struct download *d, struct work *w)
{
	d->jobs++;
	pool_submit(d->pool, w);
}

void download_job_done(struct download *d)
{
	d->jobs--;
}

/* ---- the end ---- */

static void tell(struct download *d)
{
	for (struct list_node *n; (n = list_pop_front(&d->waiters));) {
		struct download_waiter *w = list_entry(n, struct download_waiter, node);
		w->done(w, d->err.code ? &d->err : NULL, d->retryable);
	}
}

static void free_texts(struct download *d)
{
	char *const texts[] = {d->root,	  d->folder, d->filename, d->url,    d->sha256,
			       d->job_id, d->path,   d->part,	  d->ledger, d->lock};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
}

static void download_free(struct download *d)
{
	timer_stop(&d->tick);
	timer_stop(&d->retry);
	hasher_fini(d);
	for (struct list_node *n; (n = list_pop_front(&d->spare));)
		free(list_entry(n, struct chunk, write_node));
	free_texts(d);
	free(d);
}

static void close_run(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	if (d->fd >= 0)
		close(d->fd);
	if (d->claim.fd >= 0)
		close(d->claim.fd);
	fs_unlock(d->lock_fd);
}

static void close_after(struct work *w)
{
	struct download *d = container_of(w, struct download, work);
	if (d->store)
		list_remove(&d->store->downloads, &d->node);
	tell(d);
	download_free(d);
}

/* Everything that came is written and claimed before the lock goes. */
static void end_when_quiet(struct download *d)
{
	if (d->jobs || ranges_used(d))
		return;
	claim_last(d);
	if (d->jobs)
		return;
	timer_stop(&d->tick);
	d->work = (struct work){.run = close_run, .after = close_after};
	d->jobs = 1; /* for good: nothing pumps any more */
	pool_submit(d->pool, &d->work);
}

static void stop_ranges(struct download *d)
{
	for (size_t i = 0; i < WIDTH_MAX; i++)
		range_stop(&d->ranges[i]);
}

static void on_ending(void *arg)
{
	download_pump(arg);
}

static void wind_up(struct download *d)
{
	d->state = DL_ENDING;
	timer_stop(&d->retry);
	stop_ranges(d);
	timer_start(&d->tick, d->clock, 0, on_ending, d); /* never from inside a call */
}

void download_fail(struct download *d, bool retryable, const struct err *e)
{
	if (d->state == DL_ENDING)
		return;
	d->err = *e;
	d->retryable = retryable;
	wind_up(d);
}

/* ---- trouble ---- */

void download_change(struct download *d, const char *why)
{
	struct err e = ERR_INIT;
	if (d->changed || d->state == DL_ENDING)
		return;
	if (++d->start_overs > START_OVERS) {
		err_set(&e, EPROTO, "%s, and again and again: %s", why, d->filename);
		download_fail(d, true, &e);
		return;
	}
	if (d->store)
		log_warn(d->store->deps.log, "model", d->job_id, "%s/%s starts over: %s", d->folder,
			 d->filename, why);
	d->changed = true;
	stop_ranges(d);
}

static void on_retry(void *arg)
{
	download_pump(arg);
}

/* Doubling from the first, half of it random so that workers of one studio don't come at once. */
static uint64_t backoff(struct download *d, uint64_t retry_after)
{
	uint64_t ms = d->store->tune.backoff_ms;
	for (unsigned i = 1; i < d->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	ms = ms / 2 + rng_below(&d->store->rng, ms / 2 + 1);
	return ms > retry_after ? ms : retry_after;
}

/* What came, also when the disk does not have it yet. */
static uint64_t arrived(const struct download *d)
{
	struct extents x = d->done;
	for (size_t i = 0; i < WIDTH_MAX; i++)
		if (d->ranges[i].used)
			(void)extents_add(&x, d->ranges[i].from, d->ranges[i].pos);
	return extents_bytes(&x);
}

static void count_failure(struct download *d)
{
	uint64_t done = arrived(d);
	d->failures = done >= d->best + PROGRESS_BYTES ? 1 : d->failures + 1;
	if (done > d->best)
		d->best = done;
}

void download_stumbled(struct download *d, struct range *r, const struct err *e)
{
	unsigned others = ranges_live(d);
	uint64_t ms;
	if (!d->store || d->state == DL_ENDING)
		return;
	width_failed(&d->width, clock_now(d->clock), others);
	if (others && !d->no_ranges)
		return; /* they go on, and take its rest later */
	count_failure(d);
	if (d->failures > d->store->tune.give_up || r->retry_after_ms > RETRY_AFTER_MAX_MS) {
		download_fail(d, true, e);
		return;
	}
	ms = backoff(d, r->retry_after_ms);
	log_warn(d->store->deps.log, "model", d->job_id, "%s; again in %llu ms", e->text,
		 (unsigned long long)ms);
	/* Without ranges there is no going on, only once more. */
	d->changed = d->changed || d->no_ranges;
	timer_start(&d->retry, d->clock, ms, on_retry, d);
}

void download_pump(struct download *d)
{
	if (d->state == DL_ENDING) {
		end_when_quiet(d);
		return;
	}
	if (d->state != DL_RUNNING)
		return;
	if (!d->changed)
		streams_run(d);
	else if (!d->jobs && !ranges_used(d) && !timer_running(&d->retry))
		empty_begin(d);
	claim_pump(d);
}

/* ---- time ---- */

static bool all_deliver(const struct download *d)
{
	unsigned live = 0;
	for (size_t i = 0; i < WIDTH_MAX; i++) {
		const struct range *r = &d->ranges[i];
		live += r->fetch != NULL;
		if (r->fetch && r->pos == r->from)
			return false;
	}
	return live > 0;
}

static void say(struct download *d, uint64_t now)
{
	char text[256];
	struct download_view v;
	if (now - d->said_ms < SAY_MS || !d->store)
		return;
	d->said_ms = now;
	download_view(d, &v);
	struct store_progress p = {
	    .filename = v.filename, .done = v.done, .total = v.total, .rate = v.rate, .eta_s = -1};
	if (v.rate && v.total)
		p.eta_s = (int64_t)((v.total - v.done) / v.rate);
	store_progress_text(&p, text, sizeof text);
	log_info(d->store->deps.log, "model", d->job_id, "downloading %s", text);
}

static void on_tick(void *arg)
{
	struct download *d = arg;
	uint64_t now = clock_now(d->clock), limit = d->store ? d->store->limit.rate : 0;
	timer_start(&d->tick, d->clock, TICK_MS, on_tick, d);
	if (d->state == DL_RUNNING && !d->no_ranges && d->roomy)
		width_tick(&d->width, now, d->received, all_deliver(d),
			   limit && meter_rate(&d->meter) > limit / 10 * 7);
	meter_feed(&d->meter, now, d->received);
	if (d->state == DL_RUNNING)
		say(d, now);
	download_pump(d);
}

void download_soon(struct download *d)
{
	if (d->state != DL_ENDING)
		timer_start(&d->tick, d->clock, 0, on_tick, d);
}

static void on_begin(void *arg)
{
	struct download *d = arg;
	on_tick(d);
	open_begin(d);
}

/* ---- who wants it ---- */

static struct download *find(struct store *s, const char *path)
{
	list_each (n, &s->downloads)
		if (strcmp(download_of(n)->path, path) == 0)
			return download_of(n);
	return NULL;
}

static void set_names(struct download *d, const char *folder, const struct source_file *f)
{
	char key[NAME_KEY_LEN];
	d->root = xstrdup(d->store->root);
	d->folder = xstrdup(folder);
	d->filename = xstrdup(f->filename);
	d->url = xstrdup(f->url);
	d->sha256 = xstrdup_opt(f->sha256);
	d->part = name_path(d->root, folder, f->filename, NAME_PART);
	d->ledger = name_path(d->root, folder, f->filename, NAME_LEDGER);
	name_key(folder, f->filename, key);
	d->lock = xasprintf("%s/" NAME_STORE_DIR "/locks/%s", d->root, key);
	d->approx = f->approx_bytes;
}

static struct download *make(struct store *s, const char *folder, const struct source_file *f,
			     const char *job_id, char *path)
{
	struct download *d = xcalloc(1, sizeof *d);
	d->store = s;
	d->clock = s->deps.clock;
	d->pool = s->deps.pool;
	d->path = path;
	d->job_id = xstrdup_opt(job_id);
	d->fd = d->claim.fd = d->lock_fd = -1;
	d->total = TOTAL_UNKNOWN;
	d->said_ms = clock_now(d->clock);
	set_names(d, folder, f);
	list_init(&d->waiters);
	list_init(&d->spare);
	for (size_t i = 0; i < WIDTH_MAX; i++)
		d->ranges[i].d = d;
	hasher_init(&d->hasher);
	width_init(&d->width, clock_now(d->clock));
	ledger_boot(d->claim.next.boot);
	list_push_back(&s->downloads, &d->node);
	timer_start(&d->tick, d->clock, 0, on_begin, d);
	return d;
}

struct download *download_join(struct store *s, const char *folder, const struct source_file *f,
			       const char *job_id, struct download_waiter *w)
{
	char *path = name_path(s->root, folder, f->filename, "");
	struct download *d = find(s, path);
	if (d)
		free(path);
	else
		d = make(s, folder, f, job_id, path);
	if (d->state == DL_ENDING)
		return NULL;
	list_push_back(&d->waiters, &w->node);
	return d;
}

void download_leave(struct download *d, struct download_waiter *w)
{
	struct err e = ERR_INIT;
	list_remove(&d->waiters, &w->node);
	if (!list_empty(&d->waiters))
		return;
	err_set(&e, ECANCELED, "nobody wants %s any more", d->filename);
	download_fail(d, true, &e);
}

void download_orphan(struct download *d)
{
	struct err e = ERR_INIT;
	while (list_pop_front(&d->waiters))
		;
	err_set(&e, ECANCELED, "the program ends");
	download_fail(d, true, &e);
	list_remove(&d->store->downloads, &d->node);
	d->store = NULL;
}

void download_wake(struct download *d)
{
	for (size_t i = 0; i < WIDTH_MAX; i++)
		range_wake(&d->ranges[i]);
}

void download_view(struct download *d, struct download_view *v)
{
	*v = (struct download_view){
	    .folder = d->folder,
	    .filename = d->filename,
	    .path = d->path,
	    .done = extents_bytes(&d->done),
	    .total = d->total == TOTAL_UNKNOWN ? d->approx : d->total,
	    .rate = meter_rate(&d->meter),
	    .waiting = d->state == DL_WAITING,
	    .streams = ranges_live(d),
	};
}
