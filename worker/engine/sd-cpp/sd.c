/* sd.c - engine `sd-cpp`: pictures and videos by stable-diffusion.cpp, through sd-server kept warm,
 * or one sd-cli a job where only that is there. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/loop/child.h"
#include "worker/engine/program.h"
#include "worker/engine/sd-cpp/prebuilt.h"
#include "worker/engine/sd-cpp/run.h"

#define REMEDY                                                                                     \
	"the programs sd-server and sd-cli are missing; get them from "                            \
	"https://github.com/leejet/stable-diffusion.cpp/releases and put them into "               \
	"<models_root>/bin or ~/.local/bin"

#define CHECK_MS 60000 /* the owner may install the Vulkan loader meanwhile */

extern const struct engine_ops sd_cpp_engine;

static struct sd *sd_of(struct engine *e)
{
	return container_of(e, struct sd, base);
}

void sd_look(struct sd *sd)
{
	engine_program_refresh(&sd->server, "sd-server", &sd->env);
	engine_program_refresh(&sd->cli, "sd-cli", &sd->env);
	engine_program_refresh(&sd->ffmpeg, "ffmpeg", &sd->env);
}

static struct engine *new (const struct engine_env *env)
{
	struct sd *sd = xcalloc(1, sizeof *sd);
	sd->base.ops = &sd_cpp_engine;
	sd->env = *env;
	sd->env.models_root = sd->models_root = xstrdup_opt(env->models_root);
	facts_init(&sd->facts);
	sd_look(sd);
	return &sd->base;
}

static void free_engine(struct engine *base)
{
	struct sd *sd = sd_of(base);
	free(sd->server);
	free(sd->cli);
	free(sd->ffmpeg);
	free(sd->models_root);
	free(sd);
}

/* "stable-diffusion.cpp version master-353-2c3c66d, commit 2c3c66d" */
static void ask_version(struct sd *sd)
{
	engine_program_version(sd->server ? sd->server : sd->cli, "--version", sd->version,
			       sizeof sd->version);
	if (!sd->version[0])
		strcpy(sd->version, "of an unknown version");
}

/* Whether the programs can be fetched. Asked at every heartbeat. */
static int fetchable(struct sd *sd, struct err *e)
{
	uint64_t now = sd->env.clock ? clock_now(sd->env.clock) : 0;
	if (!sd->env.clock || !sd->checked || now - sd->checked_ms >= CHECK_MS) {
		err_clear(&sd->not_fetched);
		(void)!prebuilt_check(&sd->not_fetched);
		sd->checked = true;
		sd->checked_ms = now;
	}
	if (sd->not_fetched.code)
		*e = sd->not_fetched;
	return -sd->not_fetched.code;
}

/* What is to be done when there is no program: nothing, where one can be fetched. */
static const char *none_found(struct sd *sd)
{
	struct err e = ERR_INIT;
	if (fetchable(sd, &e) == 0)
		return "sd-server and sd-cli; the first job fetches the pinned archive";
	snprintf(sd->remedy, sizeof sd->remedy, "%s; none is fetched: %.*s", REMEDY, 300, e.text);
	return sd->remedy;
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct sd *sd = sd_of(base);
	sd_look(sd);
	*out = (struct engine_info){.path = sd->server ? sd->server : sd->cli};
	if (!out->path) {
		out->missing = none_found(sd);
		return;
	}
	if (ask && !sd->version[0])
		ask_version(sd);
	out->version = sd->version;
	if (!sd->server)
		out->missing = "sd-server, which keeps a model warm (sd-cli loads it for every "
			       "job); it comes with the same release";
	else if (!sd->ffmpeg)
		out->missing = "ffmpeg, for video; " TRANSCODE_REMEDY;
}

/* Whether a job could be run: with what is there, or what can be fetched for it. */
static bool possible(struct sd *sd, struct err *e)
{
	if (sd_present(sd))
		return true;
	if (!sd->env.store || !sd->env.net) {
		err_set(e, ENOENT, "%s", REMEDY);
		return false;
	}
	return fetchable(sd, e) == 0;
}

bool sd_present(const struct sd *sd)
{
	return sd->server || sd->cli;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct sd *sd = sd_of(base);
	sd_look(sd);
	struct err e = ERR_INIT;
	if (!possible(sd, &e))
		return;
	capabilities_add_model(c, KIND_IMAGE, "sd-cpp:*");
	if (sd->ffmpeg)
		capabilities_add_model(c, KIND_VIDEO, "sd-cpp:*");
}

static int make_plan(struct sd *sd, const struct engine_job *job, struct plan *p, struct err *err)
{
	int rc = sd_plan_make(p, job, &sd->facts, err);
	if (rc == 0 && !possible(sd, err))
		rc = -err->code;
	if (rc == 0 && p->video && !sd->ffmpeg)
		rc = err_set(err, ENOENT, "video needs the program ffmpeg; " TRANSCODE_REMEDY);
	return rc;
}

static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	struct plan p;
	struct sd *sd = sd_of(base);
	sd_look(sd);
	return make_plan(sd, job, &p, err);
}

/* ---- a run ---- */

static void destroy(struct engine_run *r)
{
	timer_stop(&r->timer);
	timer_stop(&r->silence);
	inputs_fini(&r->inputs);
	if (r->loras)
		sd_files_names_free(r->loras, r->n_loras);
	free(r->body);
	free(r->base_url);
	free(r->dir);
	free(r->raw);
	free(r->result);
	free(r);
}

static void end_now(struct engine_run *r, const struct err *error, bool retryable)
{
	struct engine_result result = {.file = r->result, .ext = r->plan.ext};
	r->ev->end(r->arg, error ? NULL : &result, error, retryable);
	destroy(r);
}

void sd_run_finish(struct engine_run *r, const struct err *error, bool retryable)
{
	struct err cancelled = ERR_INIT;
	if (r->cancelled) {
		err_set(&cancelled, ECANCELED, "cancelled");
		error = &cancelled;
		retryable = false;
	}
	if (!r->working) {
		end_now(r, error, retryable);
		return;
	}
	r->ending = true;
	r->end_err = *error; /* what is in the pool is never needed for a success */
	r->end_retryable = retryable;
}

static void worked(struct work *w)
{
	struct engine_run *r = container_of(w, struct engine_run, work);
	r->working = false;
	if (r->ending)
		end_now(r, &r->end_err, r->end_retryable);
	else if (r->then)
		r->then(r);
}

void sd_run_pool(struct engine_run *r, void (*work)(struct work *),
		 void (*then)(struct engine_run *))
{
	r->working = true;
	r->then = then;
	err_clear(&r->work_err);
	r->work = (struct work){.run = work, .after = worked};
	pool_submit(r->engine->env.pool, &r->work);
}

const char *sd_run_words(const char *line)
{
	const char *at = line[0] == '[' ? strstr(line, " - ") : NULL;
	return at ? at + 3 : line;
}

static bool is_error(const char *text)
{
	return strncmp(text, "[ERROR]", 7) == 0 || strstr(text, "GGML_ASSERT");
}

bool sd_run_line(struct engine_run *r, int fd, const char *text)
{
	if (fd == 2 && !r->error_line[0] && is_error(text))
		snprintf(r->error_line, sizeof r->error_line, "%s", sd_run_words(text));
	struct saying said = says(text);
	if (said.what == SAYS_DONE)
		r->done_said = true;
	if (!standing_take(&r->standing, &said))
		return said.what != SAYS_NOTHING;
	r->ev->progress(r->arg, STAGE_RUNNING, r->standing.fraction, r->standing.detail);
	return true;
}

void sd_run_name_raw(struct engine_run *r)
{
	free(r->raw);
	r->raw = xasprintf("%s/made-%u.%s", r->job->scratch, ++r->attempt,
			   strcmp(r->plan.format, "jpeg") == 0 ? "jpg" : r->plan.format);
}

static int ready(struct sd *sd, const struct engine_job *job, const struct plan *p, struct err *err)
{
	if (!possible(sd, err))
		return -err->code;
	if (!sd->server && sd->cli && sd_cli_check(p, job->source, err) < 0)
		return -err->code;
	if (!job->files || (!sd->cli && (!sd->env.host || !sd->env.net)))
		return err_set(err, EINVAL, "the files of the model are not there");
	if ((p->init && !job->init_image) || (p->reference && !job->ref_image) ||
	    (p->mask && !job->mask))
		return err_set(err, EINVAL, "a picture of the job is not there");
	return 0;
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct sd *sd = sd_of(base);
	struct plan plan;
	*retryable = false;
	sd_look(sd);
	if (make_plan(sd, job, &plan, err) < 0 || ready(sd, job, &plan, err) < 0)
		return NULL;
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.engine = sd, .job = job, .ev = ev, .arg = arg, .plan = plan};
	r->output = (struct output){.log = sd->env.log, .job_id = job->job_id, .program = "sd-cli"};
	inputs_init(&r->inputs, job, &plan);
	r->loras = sd_files_lora_names(job, &r->n_loras);
	programs_start(r);
	return r;
}

/* What is in the pool sees it when it is done. */
static void cancel(struct engine_run *r)
{
	if (r->cancelled)
		return;
	r->cancelled = true;
	if (r->transcode)
		transcode_kill(r->transcode);
	else if (r->served)
		sd_server_cancel(r);
	else if (r->child)
		child_kill(r->child);
	else if (!r->working)
		programs_cancel(r);
}

const struct engine_ops sd_cpp_engine = {
    .name = "sd-cpp",
    .kinds = KIND_BIT(KIND_IMAGE) | KIND_BIT(KIND_VIDEO),
    .provisioned = KIND_BIT(KIND_IMAGE) | KIND_BIT(KIND_VIDEO),
    .summary = "pictures and videos by stable-diffusion.cpp",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
};
