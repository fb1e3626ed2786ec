/* provision.c - see provision.h.
 * Model files and inputs come side by side; the first that fails ends it all.
 * SPDX-License-Identifier: MIT */
#include "worker/job/provision.h"

#include <errno.h>

#include "lib/fs/fs.h"
#include "worker/job/internal.h"
#include "worker/model/input.h"

#define INPUTS_MAX 3
#define TEXT_MAX   256

struct want { /* one address of the task */
	struct provision *p;
	struct input *fetch; /* NULL: it is here */
	char *path;
};

struct provision {
	struct job *job;
	provision_done *done;
	struct hold *hold;
	const char *const *files;
	struct want wants[INPUTS_MAX];
	size_t n_wants, pending;
	bool over; /* done was called, or is due */
	struct err err;
	struct timer end;
};

static void stop_inputs(struct provision *p)
{
	for (size_t i = 0; i < p->n_wants; i++)
		input_cancel(steal(&p->wants[i].fetch));
}

/* An err ends in provision_free(): that stops the rest. */
static void finish(struct provision *p, const struct err *err, bool retryable)
{
	struct job *job = p->job;
	p->over = true;
	if (!err)
		job->work.files = p->files;
	p->done(job, err, retryable);
}

static void arrived(struct provision *p)
{
	if (--p->pending == 0)
		finish(p, NULL, false);
}

/* ---- model files ---- */

static void on_held(void *arg, const char *const *paths, const struct err *err, bool retryable)
{
	struct provision *p = arg;
	p->files = paths;
	if (err)
		finish(p, err, retryable);
	else
		arrived(p);
}

static void on_progress(void *arg, const struct store_progress *s)
{
	struct provision *p = arg;
	char text[TEXT_MAX];
	double fraction = s->total ? (double)s->done / (double)s->total : -1;
	store_progress_text(s, text, sizeof text);
	progress_report(p->job, STAGE_DOWNLOADING, fraction > 1 ? 1 : fraction, text);
}

static void hold_files(struct provision *p)
{
	static const struct store_events events = {.progress = on_progress, .end = on_held};
	const struct job *job = p->job;
	const struct source *source = job->claim->source;
	if (source->n_files == 0)
		return;
	p->pending++;
	p->hold = store_hold(job->jobs->d.store, job->claim->model, source->files, source->n_files,
			     job_id(job), &events, p);
}

/* ---- inputs ---- */

static void on_input(void *arg, const struct err *err, bool retryable)
{
	struct want *w = arg;
	w->fetch = NULL;
	if (err)
		finish(w->p, err, retryable);
	else
		arrived(w->p);
}

/* The path it will have; NULL when the task names none. */
static const char *want(struct provision *p, const char *url, const char *name, size_t max)
{
	if (!url)
		return NULL;
	struct want *w = &p->wants[p->n_wants++];
	w->p = p;
	w->path = fs_join(p->job->scratch, name);
	p->pending++;
	w->fetch = input_fetch(p->job->jobs->d.store, url, w->path, max, on_input, w);
	return w->path;
}

static void fetch_inputs(struct provision *p)
{
	struct engine_job *work = &p->job->work;
	const struct task *t = p->job->claim->task;
	if (!p->job->scratch)
		return; /* of a kind that is all in memory */
	if (t->kind == KIND_IMAGE) {
		work->init_image = want(p, t->image.init_image_url, "init", INPUT_MAX_IMAGE);
		work->mask = want(p, t->image.mask_url, "mask", INPUT_MAX_IMAGE);
		work->ref_image = want(p, t->image.ref_image_url, "ref", INPUT_MAX_IMAGE);
	} else if (t->kind == KIND_VIDEO) {
		work->init_image = want(p, t->video.init_image_url, "init", INPUT_MAX_IMAGE);
	} else if (t->kind == KIND_STT) {
		work->audio = want(p, t->stt.input_url, "audio", INPUT_MAX_AUDIO);
	}
	if (p->n_wants)
		progress_report(p->job, STAGE_DOWNLOADING, -1, "what the task points to");
}

/* ---- life ---- */

static void on_end(void *arg)
{
	struct provision *p = arg;
	finish(p, p->err.code ? &p->err : NULL, false);
}

static void finish_soon(struct provision *p)
{
	p->over = true;
	timer_start(&p->end, p->job->jobs->d.clock, 0, on_end, p);
}

struct provision *provision_start(struct job *job, provision_done *done)
{
	struct provision *p = xcalloc(1, sizeof *p);
	p->job = job;
	p->done = done;
	hold_files(p);
	fetch_inputs(p);
	if (p->pending == 0)
		finish_soon(p);
	return p;
}

void provision_cancel(struct provision *p)
{
	if (p->over && !timer_running(&p->end))
		return;
	stop_inputs(p);
	hold_release(steal(&p->hold));
	err_set(&p->err, ECANCELED, "cancelled");
	finish_soon(p);
}

void provision_free(struct provision *p)
{
	if (!p)
		return;
	timer_stop(&p->end);
	stop_inputs(p);
	hold_release(p->hold);
	for (size_t i = 0; i < p->n_wants; i++)
		free(p->wants[i].path);
	free(p);
}
