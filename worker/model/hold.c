/* hold.c - a claim on the files of a model: each is looked for and downloaded if it must be, one
 * after the other; see store.h. SPDX-License-Identifier: MIT */
#include "worker/model/hold.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/model/download.h"
#include "worker/model/find.h"
#include "worker/model/keep.h"
#include "worker/model/name.h"

#define PROGRESS_MS 250
#define AGAIN_MS    50 /* a download that ends is in the way */
#define ROUNDS_MAX  3  /* others may bring another file to the same place, but not for ever */
#define FILES_MAX   64

struct search { /* outlives its hold when that is released */
	struct work work;
	struct hold *hold; /* NULL: nobody waits any more */
	char *root, *folder;
	struct source_file file;
	struct find_watch watch;
	char *path;
	struct err err;
	int rc;
};

struct hold {
	struct list_node node;
	struct store *store; /* NULL: it went before */
	char *folder, *job_id;
	struct source_file *files;
	size_t n, at;		/* at: the one that is worked on */
	char **paths, **places; /* where each is; where each may be: its own folder and the top */
	uint64_t finished;	/* bytes of those before `at` */
	struct store_events ev;
	void *arg;
	struct timer turn, progress;
	struct search *search;
	struct keep *keep; /* of all files, once all were found */
	struct download *download;
	struct download_waiter waiter;
	unsigned rounds; /* downloads that did not bring what this hold wants */
	bool ended, retryable;
	struct err err;
};

struct hold *hold_of(struct list_node *n)
{
	return list_entry(n, struct hold, node);
}

bool hold_has(const struct hold *h, const char *path)
{
	for (size_t i = 0; i < 2 * h->n; i++)
		if (h->places[i] && strcmp(h->places[i], path) == 0)
			return true;
	return false;
}

/* ---- ends ---- */

static void on_ended(void *arg)
{
	struct hold *h = arg;
	timer_stop(&h->progress);
	h->ended = true;
	h->ev.end(h->arg, h->err.code ? NULL : (const char *const *)h->paths,
		  h->err.code ? &h->err : NULL, h->retryable);
}

/* In the next turn: whoever gets it may release the hold. */
static void end(struct hold *h, const struct err *e, bool retryable)
{
	if (e)
		h->err = *e;
	h->retryable = retryable;
	timer_start(&h->turn, h->store->deps.clock, 0, on_ended, h);
}

/* ---- progress ---- */

static uint64_t all_bytes(const struct hold *h, uint64_t current)
{
	uint64_t total = h->finished + current;
	for (size_t i = h->at + 1; i < h->n; i++) {
		if (!h->files[i].approx_bytes)
			return 0;
		total += h->files[i].approx_bytes;
	}
	return current ? total : 0;
}

static bool see_download(struct hold *h, struct store_progress *p)
{
	struct download_view v;
	if (!h->download)
		return false;
	download_view(h->download, &v);
	p->done = h->finished + v.done;
	p->total = all_bytes(h, v.total);
	p->rate = v.rate;
	return true;
}

static bool see_search(struct hold *h, struct store_progress *p)
{
	if (!h->search || !atomic_load(&h->search->watch.verifying))
		return false;
	p->verifying = true;
	p->done = h->finished + atomic_load(&h->search->watch.done);
	p->total = all_bytes(h, atomic_load(&h->search->watch.total));
	return true;
}

static void on_progress(void *arg)
{
	struct hold *h = arg;
	struct store_progress p = {.filename = h->files[h->at].filename, .eta_s = -1};
	timer_start(&h->progress, h->store->deps.clock, PROGRESS_MS, on_progress, h);
	if (!h->ev.progress || (!see_download(h, &p) && !see_search(h, &p)))
		return;
	if (p.total && p.done > p.total)
		p.total = p.done; /* offers round */
	if (p.rate && p.total)
		p.eta_s = (int64_t)((p.total - p.done) / p.rate);
	h->ev.progress(h->arg, &p);
}

/* ---- one file ---- */

static void next_file(void *arg);

static void search_free(struct search *s)
{
	free(s->root);
	free(s->folder);
	free(s->file.url);
	free(s->file.filename);
	free(s->file.sha256);
	free(s->path);
	free(s);
}

static void got_file(struct hold *h, char *path)
{
	struct stat st;
	h->paths[h->at] = path;
	h->finished += stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	h->at++;
	h->rounds = 0;
	next_file(h);
}

static void on_downloaded(struct download_waiter *w, const struct err *err, bool retryable)
{
	struct hold *h = container_of(w, struct hold, waiter);
	h->download = NULL;
	if (err)
		end(h, err, retryable);
	else
		next_file(h); /* finds it, or that it was another one's */
}

static const char *place_of(const struct hold *h, size_t i)
{
	return h->places[2 * i];
}

enum taken { TAKEN_NOT, TAKEN_BRIEFLY, TAKEN };

/* Something else lies where the file would go: who works with it? */
static enum taken taken_by_others(struct hold *h)
{
	struct store *s = h->store;
	const char *path = place_of(h, h->at);
	struct stat st;
	if (stat(path, &st) < 0)
		return TAKEN_NOT;
	list_each (n, &s->holds)
		if (hold_of(n) != h && hold_of(n)->ended && hold_has(hold_of(n), path))
			return TAKEN;
	if (!s->deps.in_use || !s->deps.in_use(s->deps.in_use_arg, path))
		return TAKEN_NOT;
	/* A warm engine that no job needs is no reason to fail. */
	return s->deps.release && s->deps.release(s->deps.in_use_arg, path) ? TAKEN_BRIEFLY : TAKEN;
}

static void start_download(struct hold *h)
{
	struct err e = ERR_INIT;
	const struct source_file *f = &h->files[h->at];
	enum taken taken = taken_by_others(h);
	if (taken == TAKEN_BRIEFLY) {
		timer_start(&h->turn, h->store->deps.clock, AGAIN_MS, next_file, h);
		return;
	}
	if (taken == TAKEN) {
		err_set(&e, EBUSY, "another job works with another file of the name %s",
			f->filename);
		end(h, &e, true);
		return;
	}
	if (h->rounds++ >= ROUNDS_MAX) {
		err_set(&e, EAGAIN, "%s is fetched as another file again and again", f->filename);
		end(h, &e, true);
		return;
	}
	h->waiter.done = on_downloaded;
	h->download = download_join(h->store, h->folder, f, h->job_id, &h->waiter);
	if (!h->download) { /* one that ends is in the way; that is no round */
		h->rounds--;
		timer_start(&h->turn, h->store->deps.clock, AGAIN_MS, next_file, h);
	}
}

static void search_run(struct work *w)
{
	struct search *s = container_of(w, struct search, work);
	s->rc = find_file(s->root, s->folder, &s->file, &s->path, &s->watch, &s->err);
}

static void search_after(struct work *w)
{
	struct search *s = container_of(w, struct search, work);
	struct hold *h = s->hold;
	if (h) {
		h->search = NULL;
		if (s->rc == 0)
			got_file(h, steal(&s->path));
		else if (s->rc == -ENOENT)
			start_download(h);
		else
			end(h, &s->err, s->rc != -EEXIST);
	}
	search_free(s);
}

/* ---- all files ---- */

static void forget_paths(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(steal(&h->paths[i]));
	h->at = 0;
	h->finished = 0;
}

static void on_kept(void *arg, bool ok)
{
	struct hold *h = arg;
	if (ok) {
		end(h, NULL, false);
		return;
	}
	/* What was found first went while the last one came. */
	keep_drop(steal(&h->keep));
	forget_paths(h);
	timer_start(&h->turn, h->store->deps.clock, AGAIN_MS, next_file, h);
}

static bool being_evicted(struct hold *h)
{
	list_each (n, &h->store->downloads)
		if (download_evicts(download_of(n), h->places[2 * h->at]) ||
		    download_evicts(download_of(n), h->places[2 * h->at + 1]))
			return true;
	return false;
}

static void next_file(void *arg)
{
	struct hold *h = arg;
	if (!h->n) {
		end(h, NULL, false);
		return;
	}
	if (h->at == h->n) {
		h->keep =
		    keep_files(h->store->deps.pool, h->store->root, h->paths, h->n, on_kept, h);
		return;
	}
	if (being_evicted(h)) {
		timer_start(&h->turn, h->store->deps.clock, AGAIN_MS, next_file, h);
		return;
	}
	const struct source_file *f = &h->files[h->at];
	struct search *s = xcalloc(1, sizeof *s);
	s->hold = h;
	s->root = xstrdup(h->store->root);
	s->folder = xstrdup(h->folder);
	s->file = (struct source_file){.url = xstrdup(f->url),
				       .filename = xstrdup(f->filename),
				       .sha256 = xstrdup_opt(f->sha256),
				       .approx_bytes = f->approx_bytes};
	s->work = (struct work){.run = search_run, .after = search_after};
	h->search = s;
	pool_submit(h->store->deps.pool, &s->work);
}

/* ---- begin and end ---- */

static int check(const struct hold *h, const char *model, struct err *e)
{
	if (model && !model[0])
		return err_set(e, EINVAL, "a model without a name has no folder for its files");
	if (h->n > FILES_MAX)
		return err_set(e, EINVAL, "%zu model files are too many, %d are the most", h->n,
			       FILES_MAX);
	for (size_t i = 0; i < h->n; i++) {
		const struct source_file *f = &h->files[i];
		int rc = name_check(f->filename, e);
		if (rc < 0)
			return rc;
		if (!model && strcmp(f->filename, "bin") == 0)
			return err_set(e, EINVAL, "'bin' is the folder of the engines' programs");
		for (size_t j = 0; j < i; j++)
			if (strcmp(h->files[j].filename, f->filename) == 0 &&
			    strcmp(h->files[j].url, f->url) != 0)
				return err_set(e, EINVAL, "two files of the model are named %s",
					       f->filename);
	}
	return 0;
}

static void copy_files(struct hold *h, const struct source_file *files)
{
	h->files = xcalloc(h->n + 1, sizeof *h->files);
	h->paths = xcalloc(h->n + 1, sizeof *h->paths);
	h->places = xcalloc(2 * h->n + 1, sizeof *h->places);
	for (size_t i = 0; i < h->n; i++) {
		h->files[i] = (struct source_file){.url = xstrdup(files[i].url),
						   .filename = xstrdup(files[i].filename),
						   .sha256 = xstrdup_opt(files[i].sha256),
						   .approx_bytes = files[i].approx_bytes};
		h->places[2 * i] = name_path(h->store->root, h->folder, files[i].filename, "");
		h->places[2 * i + 1] = name_path(h->store->root, "", files[i].filename, "");
	}
}

struct hold *store_hold(struct store *s, const char *model, const struct source_file *files,
			size_t n, const char *job_id, const struct store_events *ev, void *arg)
{
	struct hold *h = xcalloc(1, sizeof *h);
	struct err e = ERR_INIT;
	h->store = s;
	h->folder = name_folder(model);
	h->job_id = xstrdup_opt(job_id);
	h->n = n;
	h->ev = *ev;
	h->arg = arg;
	copy_files(h, files);
	list_push_back(&s->holds, &h->node);
	if (check(h, model, &e) < 0) {
		end(h, &e, false);
		return h;
	}
	timer_start(&h->turn, s->deps.clock, 0, next_file, h);
	timer_start(&h->progress, s->deps.clock, PROGRESS_MS, on_progress, h);
	return h;
}

static void let_go(struct hold *h)
{
	timer_stop(&h->turn);
	timer_stop(&h->progress);
	if (h->search) {
		atomic_store(&h->search->watch.cancel, true);
		h->search->hold = NULL;
		h->search = NULL;
	}
	keep_drop(steal(&h->keep));
	if (h->download)
		download_leave(h->download, &h->waiter);
	h->download = NULL;
	if (h->store)
		list_remove(&h->store->holds, &h->node);
	h->store = NULL;
}

void hold_orphan(struct hold *h)
{
	let_go(h);
}

void hold_release(struct hold *h)
{
	if (!h)
		return;
	let_go(h);
	for (size_t i = 0; i < h->n; i++) {
		free(h->files[i].url);
		free(h->files[i].filename);
		free(h->files[i].sha256);
		free(h->paths[i]);
		free(h->places[2 * i]);
		free(h->places[2 * i + 1]);
	}
	free(h->files);
	free(h->paths);
	free(h->places);
	free(h->folder);
	free(h->job_id);
	free(h);
}
