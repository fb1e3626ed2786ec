/* cli.c - a job by sd-cli, which loads the model for it and writes a file.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "worker/engine/sd-cpp/run.h"

#define MAX_PROMPT 100000 /* bytes; Linux takes 128 KiB an argument */
#define TAG	   "<lora:"

/* sd-cli reads LoRAs from tags in the prompt, and a tag may hold any path: a stranger's tag must
 * not reach it. Without a LoRA of the model it looks for none. */
int sd_cli_check(const struct plan *p, const struct source *s, struct err *e)
{
	if (strlen(p->prompt) > MAX_PROMPT || strlen(p->negative) > MAX_PROMPT)
		return err_set(e, EINVAL,
			       "a prompt of more than %d bytes is too long for sd-cli; "
			       "sd-server takes it",
			       MAX_PROMPT);
	if (sd_files_loras(s) && (strstr(p->prompt, TAG) || strstr(p->negative, TAG)))
		return err_set(e, EINVAL,
			       "the prompt must not hold " TAG
			       "…> tags; LoRAs are files of the model");
	return 0;
}

static void failed(struct engine_run *r, int code, const char *words)
{
	struct err e = ERR_INIT;
	err_set(&e, code, "sd-cli: %s", r->error_line[0] ? r->error_line : words);
	sd_run_finish(r, &e, true);
}

static void checked(struct engine_run *r)
{
	if (r->work_err.code)
		failed(r, r->work_err.code, r->work_err.text);
	else
		outcome_deliver(r);
}

static void ended(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	char words[64];
	r->child = NULL;
	timer_stop(&r->silence);
	if (r->cancelled)
		failed(r, ECANCELED, "cancelled");
	else if (end->timed_out || r->silent)
		failed(r, ETIMEDOUT, r->silent ? "it hangs" : "it did not finish in time");
	else if (end->signal) {
		snprintf(words, sizeof words, "it was ended by signal %d", end->signal);
		failed(r, EIO, words);
	} else if (end->exit_code != 0) {
		snprintf(words, sizeof words, "it failed with exit code %d", end->exit_code);
		failed(r, EIO, end->first_error[0] ? sd_run_words(end->first_error) : words);
	} else {
		outcome_check(r, checked);
	}
}

static void too_silent(void *arg)
{
	struct engine_run *r = arg;
	r->silent = true;
	child_kill(r->child);
}

static void watch(struct engine_run *r)
{
	timer_start(&r->silence, r->engine->env.clock, sd_plan_patience(&r->plan).silence_ms,
		    too_silent, r);
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	struct saying said = says(text);
	if (said.what != SAYS_LOADING && said.what != SAYS_STEP)
		output_line(&r->output, text);
	if (sd_run_line(r, fd, text) && !r->silent)
		watch(r);
}

static char *tagged(const struct engine_run *r)
{
	char *prompt = xstrdup(r->plan.prompt);
	for (size_t i = 0; i < r->n_loras; i++) {
		char *longer = xasprintf("%s" TAG "%s:1>", prompt, r->loras[i]);
		free(prompt);
		prompt = longer;
	}
	return prompt;
}

static void settings(const struct engine_run *r, struct args *a)
{
	const struct plan *p = &r->plan;
	sd_args_add(a, "-W");
	sd_args_printf(a, "%" PRId64, p->width);
	sd_args_add(a, "-H");
	sd_args_printf(a, "%" PRId64, p->height);
	sd_args_add(a, "--steps");
	sd_args_printf(a, "%" PRId64, p->steps);
	sd_args_add(a, "--cfg-scale");
	sd_args_printf(a, "%.6g", p->cfg_scale);
	sd_args_add(a, "--seed");
	sd_args_printf(a, "%" PRIu64, p->seed);
	sd_args_add(a, "--strength");
	sd_args_printf(a, "%.6g", p->strength);
	if (p->has_flow_shift) {
		sd_args_add(a, "--flow-shift");
		sd_args_printf(a, "%.6g", p->flow_shift);
	}
	if (p->sampler)
		sd_args_pair(a, "--sampling-method", p->sampler);
	if (p->negative[0])
		sd_args_pair(a, "--negative-prompt", p->negative);
	if (p->video) {
		sd_args_pair(a, "-M", "vid_gen");
		sd_args_add(a, "--video-frames");
		sd_args_printf(a, "%" PRId64, p->frames);
		sd_args_add(a, "--fps");
		sd_args_printf(a, "%d", p->fps);
	}
}

static void pictures(const struct engine_run *r, struct args *a)
{
	const struct inputs *in = &r->inputs;
	if (in->path[INPUT_BASE])
		sd_args_pair(a, r->plan.reference ? "--ref-image" : "--init-img",
			     in->path[INPUT_BASE]);
	if (in->path[INPUT_MASK])
		sd_args_pair(a, "--mask", in->path[INPUT_MASK]);
}

static int link_loras(struct engine_run *r, const char *dir, struct args *a, struct err *e)
{
	if (!r->n_loras)
		return 0;
	if (fs_mkdir(dir, 0700, e) < 0)
		return -e->code;
	sd_args_pair(a, "--lora-model-dir", dir);
	return sd_files_link_loras(r->job, r->loras, dir, e);
}

static int run(struct engine_run *r, struct err *e)
{
	static const struct child_events events = {.line = line, .end = ended};
	static const char *const env[] = {"GGML_NO_BACKTRACE=1", NULL};
	struct args a = {0};
	auto_free char *dir = xasprintf("%s/loras", r->job->scratch), *prompt = tagged(r);
	sd_run_name_raw(r);
	sd_args_add(&a, r->engine->cli);
	sd_files_flags(r->job, &a);
	sd_plan_flags(&r->plan, r->old_zero_flag, &a);
	settings(r, &a);
	pictures(r, &a);
	int rc = link_loras(r, dir, &a, e);
	sd_args_add(&a, "--disable-image-metadata");
	sd_args_pair(&a, "-p", prompt);
	sd_args_pair(&a, "-o", r->raw);
	struct child_spec spec = {
	    .argv = a.items, .env = env, .deadline_ms = sd_plan_patience(&r->plan).total_ms};
	if (rc == 0) {
		r->child = child_start(r->engine->env.loop, &spec, &events, r, e);
		rc = r->child ? 0 : -e->code;
	}
	sd_args_fini(&a);
	return rc;
}

void sd_cli_start(struct engine_run *r)
{
	struct err e = ERR_INIT;
	/* Its memory is its own: what is kept warm for nobody would only be in the way. */
	if (r->engine->env.host && r->job->memory_bytes)
		host_unload_idle(r->engine->env.host);
	r->ev->progress(r->arg, STAGE_LOADING, -1, "loading the model");
	if (run(r, &e) < 0)
		sd_run_finish(r, &e, true);
	else
		watch(r);
}
