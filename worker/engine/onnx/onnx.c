/* onnx.c - engine `onnx`: paints the marked part of a picture anew, by a model of LaMa's shape. The
 * library runs in a helper process of ours (serve.h), kept warm like any other engine server.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/fetch.h"
#include "lib/wire/frame.h"
#include "worker/engine/engine.h"
#include "worker/engine/onnx/library.h"
#include "worker/engine/onnx/serve.h"
#include "worker/host/served.h"

#define REMEDY                                                                                     \
	"ONNX Runtime is missing; install it (Debian 13: apt install libonnxruntime1.21), or put " \
	"libonnxruntime.so.1 of github.com/microsoft/onnxruntime/releases into <models_root>/bin"
/* LaMa takes seconds on a slow CPU, whatever the picture: it always sees its own side. */
#define RUN_MS	      (5 * UINT64_C(60000))
#define REPLY_MAX     (64u << 10)
#define LOOK_EVERY_MS 60000
/* This program again, also when its file was replaced by an update meanwhile. */
#define OURSELVES "/proc/self/exe"

struct onnx {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root, *library;
	char version[32];
	uint64_t look_again_ms; /* while it is missing */
};

extern const struct engine_ops onnx_engine;

struct engine_run {
	struct onnx *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct served *served;
	struct fetch *fetch; /* while it is asked */
	struct secret key;
	char *output;
};

static struct onnx *onnx_of(struct engine *e)
{
	return container_of(e, struct onnx, base);
}

static struct engine *new (const struct engine_env *env)
{
	struct onnx *o = xcalloc(1, sizeof *o);
	o->base.ops = &onnx_engine;
	o->env = *env;
	o->env.models_root = o->models_root = xstrdup_opt(env->models_root);
	o->library = onnx_library_find(&o->env);
	return &o->base;
}

static void free_engine(struct engine *base)
{
	struct onnx *o = onnx_of(base);
	free(o->models_root);
	free(o->library);
	free(o);
}

/* Asked at every heartbeat: cheap while it is there, and looked for once a minute while not. */
static void refresh(struct onnx *o)
{
	uint64_t now = clock_now(o->env.clock);
	if (o->library ? fs_exists(o->library) : now < o->look_again_ms)
		return;
	o->look_again_ms = now + LOOK_EVERY_MS;
	free(o->library);
	o->library = onnx_library_find(&o->env);
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct onnx *o = onnx_of(base);
	(void)ask; /* nothing has to be started for it */
	refresh(o);
	*out = (struct engine_info){.path = o->library};
	if (!o->library) {
		out->missing = REMEDY;
		return;
	}
	onnx_library_version(o->library, o->version);
	out->version = o->version[0] ? o->version : "of an unknown version";
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct onnx *o = onnx_of(base);
	refresh(o);
	if (o->library)
		capabilities_add_model(c, KIND_IMAGE, "onnx:*");
}

/* ---- what was asked ---- */

static bool has_model(const struct source *s)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (strcmp(s->files[i].role, "model") == 0)
			return true;
	return false;
}

static bool writes(const char *ext)
{
	static const char *const exts[] = {"png", "webp", "jpg", "jpeg"};
	for (size_t i = 0; i < ARRAY_LEN(exts); i++)
		if (strcmp(ext, exts[i]) == 0)
			return true;
	return false;
}

static int check(struct engine *base, const struct engine_job *job, struct err *e)
{
	const struct task_image *t = &job->task->image;
	(void)base;
	if (!has_model(job->source))
		return err_set(e, EINVAL,
			       "the model source names no file of the role 'model'; engine onnx "
			       "needs one .onnx file");
	if (!t->init_image_url || !t->mask_url)
		return err_set(e, EINVAL,
			       "engine onnx only paints parts of a picture anew: the task needs "
			       "initImageUrl and maskUrl");
	if (t->ref_image_url)
		return err_set(e, EINVAL,
			       "engine onnx takes no reference picture; leave "
			       "refImageUrl out");
	if (!writes(t->ext))
		return err_set(e, EINVAL, "engine onnx writes png, webp and jpg, not '%.16s'",
			       t->ext);
	return 0;
}

/* ---- a run ---- */

static void free_run(struct engine_run *r)
{
	secret_clear(&r->key);
	free(r->output);
	free(r);
}

static void end_badly(struct engine_run *r, const struct err *e, bool retryable)
{
	r->ev->end(r->arg, NULL, e, retryable);
	free_run(r);
}

static void end_well(struct engine_run *r)
{
	struct engine_result result = {.file = r->output, .ext = r->job->task->image.ext};
	r->ev->end(r->arg, &result, NULL, false);
	free_run(r);
}

/* {"error", "message"} of the helper. */
static void refusal(const struct fetch_reply *reply, struct err *e)
{
	struct err ignored = ERR_INIT;
	json_t *o = json_parse(reply->body, reply->len, &ignored);
	const char *why = json_string_value(json_object_get(o, "message"));
	err_set(e, EINVAL, "%s", why ? why : "the helper process refused the job");
	json_decref(o);
}

static void answered(void *arg, const struct fetch_reply *reply)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->fetch = NULL;
	if (reply->status == 200) {
		served_good(steal(&r->served));
		end_well(r);
	} else if (reply->status == 422) {
		refusal(reply, &e);
		served_refused(steal(&r->served));
		end_badly(r, &e, false);
	} else {
		if (reply->status)
			refusal(reply, &e);
		served_broken(r->served, reply->status ? &e : &reply->err);
	}
}

static char *question(const struct engine_run *r)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "image", r->job->init_image, "mask",
			      r->job->mask, "output", r->output, "ext", r->job->task->image.ext);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

static void ask(void *arg, const struct warm *w)
{
	struct engine_run *r = arg;
	auto_free char *url = xasprintf("%s/inpaint", w->base_url), *body = question(r);
	struct fetch_request request = {
	    .url = url,
	    .bearer = w->key,
	    .body = body,
	    .body_len = strlen(body),
	};
	r->ev->progress(r->arg, STAGE_RUNNING, -1, "painting");
	r->fetch = fetch_whole(r->engine->env.net, &request, REPLY_MAX, answered, r);
}

static void abandon(void *arg)
{
	struct engine_run *r = arg;
	fetch_cancel(steal(&r->fetch));
}

static void loading(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, NULL);
}

static void failed(void *arg, const struct err *err, bool retryable)
{
	struct engine_run *r = arg;
	r->served = NULL;
	end_badly(r, err, retryable);
}

static struct served *serve(struct engine_run *r)
{
	static const struct served_ops ops = {
	    .loading = loading, .ask = ask, .abandon = abandon, .failed = failed};
	const char *model = engine_job_file(r->job, "model");
	const char *argv[] = {"engine-helper", "onnx",	"--library", r->engine->library,
			      "--model",       model,	"--port",    "{port}",
			      "--key",	       "{key}", NULL};
	const char *files[] = {model, NULL};
	struct served_spec spec = {
	    .warm =
		{
		    .engine = "onnx",
		    .model = r->job->model,
		    .program = OURSELVES,
		    .argv = argv,
		    .files = files,
		    .ready_path = "/health",
		    .load_ms = warm_load_ms(files),
		},
	    .job_id = r->job->job_id,
	    .total_ms = RUN_MS,
	};
	return served_start(r->engine->env.host, r->engine->env.clock, r->engine->env.log, &spec,
			    &ops, r);
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct onnx *o = onnx_of(base);
	*retryable = false;
	if (!o->library) {
		err_set(err, ENOENT, REMEDY);
		return NULL;
	}
	if (check(base, job, err) < 0)
		return NULL;
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.engine = o, .job = job, .ev = ev, .arg = arg};
	r->output = xasprintf("%s/result.%s", job->scratch, job->task->image.ext);
	r->served = serve(r);
	return r;
}

static void cancel(struct engine_run *r)
{
	served_cancel(r->served, true); /* a computation can't be stopped otherwise */
}

const struct engine_ops onnx_engine = {
    .name = "onnx",
    .kinds = KIND_BIT(KIND_IMAGE),
    .provisioned = KIND_BIT(KIND_IMAGE),
    .summary = "paints parts of a picture anew (LaMa), by ONNX Runtime",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
    .helper = onnx_serve,
};
