/* prepare.c - before the engine is asked: the pictures a job starts from, the request, and the name
 * of a flag that changed. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/loop/child.h"
#include "worker/engine/sd-cpp/run.h"

#define HELP_MS	  5000
#define FFMPEG_MS 30000

static const char old_flag[] = "--qwen-image-zero-cond-t";

static void go_on(struct engine_run *r)
{
	struct err e = ERR_INIT;
	struct sd *sd = r->engine;
	if (r->by_server && sd->server) {
		sd_server_start(r);
	} else if (!r->by_server && sd->cli) {
		sd_cli_start(r);
	} else {
		err_set(&e, ENOENT, "%s went away while the job was prepared",
			r->by_server ? "sd-server" : "sd-cli");
		sd_run_finish(r, &e, true);
	}
}

static void cancelled(struct engine_run *r)
{
	struct err e = ERR_INIT;
	err_set(&e, ECANCELED, "cancelled");
	sd_run_finish(r, &e, false);
}

/* ---- zeroCondT: a flag of its own until spring 2026, a model argument since ---- */

static bool known(const struct sd *sd, const struct stat *st)
{
	const struct stat *of = &sd->zero_of;
	return sd->zero_known && st->st_dev == of->st_dev && st->st_ino == of->st_ino &&
	       st->st_size == of->st_size && st->st_mtim.tv_sec == of->st_mtim.tv_sec &&
	       st->st_mtim.tv_nsec == of->st_mtim.tv_nsec;
}

static void learn(struct engine_run *r)
{
	struct sd *sd = r->engine;
	sd->zero_known = true;
	sd->zero_of = r->asked;
	sd->old_zero_flag = r->old_zero_flag;
}

static void help_line(void *arg, int fd, const char *line)
{
	struct engine_run *r = arg;
	(void)fd;
	if (strstr(line, old_flag))
		r->old_zero_flag = true;
}

static void help_ended(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->child = NULL;
	if (r->cancelled) {
		cancelled(r);
	} else if (end->timed_out || end->signal) {
		err_set(&e, EIO, "stable-diffusion.cpp did not answer to --help");
		sd_run_finish(r, &e, true);
	} else {
		if (end->exit_code == 0)
			learn(r);
		go_on(r);
	}
}

/* False: --help has to be read first. */
static bool zero_flag_known(struct engine_run *r, const char *program)
{
	struct sd *sd = r->engine;
	r->old_zero_flag = false;
	if (!r->plan.zero_cond_t || !program || stat(program, &r->asked) < 0)
		return true; /* the start that follows says what is wrong */
	if (!known(sd, &r->asked))
		return false;
	r->old_zero_flag = sd->old_zero_flag;
	return true;
}

static void ask_help(struct engine_run *r)
{
	static const struct child_events events = {.line = help_line, .end = help_ended};
	struct sd *sd = r->engine;
	const char *program = r->by_server ? sd->server : sd->cli;
	const char *argv[] = {program, "--help", NULL};
	struct child_spec spec = {.argv = argv, .deadline_ms = HELP_MS};
	struct err e = ERR_INIT;
	if (zero_flag_known(r, program)) {
		go_on(r);
		return;
	}
	r->child = child_start(sd->env.loop, &spec, &events, r, &e);
	if (!r->child)
		sd_run_finish(r, &e, true);
}

/* ---- pictures ---- */

static void prepare_work(struct work *w)
{
	struct engine_run *r = container_of(w, struct engine_run, work);
	if (inputs_prepare(&r->inputs, &r->work_err) < 0 || !r->by_server)
		return;
	r->body =
	    sd_request_body(&r->plan, &r->inputs, r->loras, r->n_loras, &r->body_len, &r->work_err);
}

static void converted(void *arg, const struct err *err)
{
	struct engine_run *r = arg;
	r->transcode = NULL;
	if (err)
		sd_run_finish(r, err, false);
	else
		sd_prepare_start(r);
}

static void no_progress(void *arg, double fraction)
{
	(void)arg;
	(void)fraction;
}

/* A GIF, BMP or AVIF, once: what ffmpeg made is a PNG. */
static int convert(struct engine_run *r, struct err *e)
{
	static const struct transcode_events events = {.progress = no_progress, .end = converted};
	enum input_kind k = r->inputs.odd;
	char *path = xasprintf("%s/odd-%d.png", r->job->scratch, (int)k);
	struct transcode_spec spec = {
	    .ffmpeg = r->engine->ffmpeg,
	    .job_id = r->job->job_id,
	    .input = r->inputs.path[k],
	    .output = path,
	    .ext = "png",
	    .demuxer = r->inputs.demuxer,
	    .deadline_ms = FFMPEG_MS,
	};
	r->transcode = transcode_start(&r->engine->env, &spec, &events, r, e);
	free(r->inputs.path[k]);
	r->inputs.path[k] = path;
	return r->transcode ? 0 : -e->code;
}

static void prepared(struct engine_run *r)
{
	if (r->cancelled) {
		cancelled(r);
		return;
	}
	bool odd = r->work_err.code == ENOTSUP && r->inputs.demuxer && r->engine->ffmpeg;
	if (odd && !r->through_ffmpeg[r->inputs.odd]) {
		r->through_ffmpeg[r->inputs.odd] = true;
		struct err e = ERR_INIT;
		if (convert(r, &e) < 0)
			sd_run_finish(r, &e, true);
		return;
	}
	if (r->work_err.code) {
		struct err e = r->work_err;
		sd_run_finish(r, &e, e.code == ENOSPC || e.code == ENOMEM || e.code == EIO);
		return;
	}
	ask_help(r);
}

void sd_prepare_start(struct engine_run *r)
{
	r->by_server = r->engine->server != NULL;
	sd_run_pool(r, prepare_work, prepared);
}
