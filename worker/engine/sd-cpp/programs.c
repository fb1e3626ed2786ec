/* programs.c - the programs of stable-diffusion.cpp, fetched when there are none: once, however
 * many jobs wait for them. SPDX-License-Identifier: MIT */
#include <errno.h>

#include "worker/engine/sd-cpp/prebuilt.h"
#include "worker/engine/sd-cpp/run.h"

#define LOOK_AGAIN_MS 500 /* a job that waits for the download of another */

static void progress(void *arg, double fraction, const char *detail)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_DOWNLOADING, fraction,
			detail ? detail : "fetching stable-diffusion.cpp");
}

static void ended(void *arg, const struct err *err, bool retryable)
{
	struct engine_run *r = arg;
	struct sd *sd = r->engine;
	struct err e = ERR_INIT;
	r->prebuilt = NULL;
	sd->fetching = false;
	sd_look(sd);
	if (!err && !sd_present(sd)) {
		err_set(&e, ENOENT,
			"the archive of stable-diffusion.cpp had no sd-server and no "
			"sd-cli for this machine");
		err = &e;
	}
	if (err)
		sd_run_finish(r, err, retryable);
	else
		programs_start(r);
}

static void look_again(void *arg)
{
	struct engine_run *r = arg;
	sd_look(r->engine);
	programs_start(r);
}

void programs_start(struct engine_run *r)
{
	static const struct prebuilt_events events = {.progress = progress, .end = ended};
	struct sd *sd = r->engine;
	struct err e = ERR_INIT;
	/* Not when start() calls: it has asked already. */
	if (sd_present(sd) && !sd->server && sd_cli_check(&r->plan, r->job->source, &e) < 0) {
		sd_run_finish(r, &e, false);
	} else if (sd_present(sd)) {
		sd_prepare_start(r);
	} else if (sd->fetching) {
		timer_start(&r->timer, sd->env.clock, LOOK_AGAIN_MS, look_again, r);
	} else {
		sd->fetching = true;
		progress(r, -1, NULL);
		r->prebuilt = prebuilt_get(&sd->env, &events, r);
	}
}

static void stopped(void *arg)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	err_set(&e, ECANCELED, "cancelled");
	sd_run_finish(r, &e, false);
}

void programs_cancel(struct engine_run *r)
{
	if (r->prebuilt)
		r->engine->fetching = false;
	prebuilt_cancel(r->prebuilt);
	r->prebuilt = NULL;
	timer_start(&r->timer, r->engine->env.clock, 0, stopped, r);
}
