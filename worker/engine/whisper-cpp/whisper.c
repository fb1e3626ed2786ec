/* whisper.c - engine `whisper-cpp`: speech to text by whisper-server, kept warm. What a job's
 * recording is, ffmpeg finds out; the server always gets 16 kHz WAV.
 *
 *   converting ──▶ waiting for a server, asking it ──▶ reading the answer ──▶ (over)
 *   (audio.h)        (served.h)                          (answer.h)
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/fetch.h"
#include "worker/engine/audio.h"
#include "worker/engine/engine.h"
#include "worker/engine/program.h"
#include "worker/engine/transcode.h"
#include "worker/engine/whisper-cpp/answer.h"
#include "worker/engine/whisper-cpp/model.h"
#include "worker/engine/whisper-cpp/plan.h"
#include "worker/engine/whisper-cpp/request.h"
#include "worker/host/served.h"

#define REMEDY                                                                                     \
	"the program whisper-server is missing; build it from "                                    \
	"https://github.com/ggml-org/whisper.cpp (target whisper-server) and put it into "         \
	"<models_root>/bin or ~/.local/bin"
#define MAX_THREADS 8	 /* more do not make it faster */
#define ABORT_MS    1200 /* for whisper-server to drop a job whose connection closed */

struct whisper {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *program, *ffmpeg; /* NULL: not found */
};

extern const struct engine_ops whisper_cpp_engine;

struct engine_run {
	struct whisper *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct plan plan;
	struct model model;
	char *wav;
	double seconds;	       /* of the recording */
	struct audio *audio;   /* while converting */
	struct served *served; /* from then on */
	struct fetch *fetch;   /* while asking */
	struct answer *answer; /* while reading */
	bool cancelled;
	bool aborting; /* it was asked then, and has not said that it dropped the job */
};

static struct whisper *whisper_of(struct engine *e)
{
	return container_of(e, struct whisper, base);
}

static void look(struct whisper *w)
{
	engine_program_refresh(&w->program, "whisper-server", &w->env);
	engine_program_refresh(&w->ffmpeg, "ffmpeg", &w->env);
}

static struct engine *new (const struct engine_env *env)
{
	struct whisper *w = xcalloc(1, sizeof *w);
	w->base.ops = &whisper_cpp_engine;
	w->env = *env;
	w->env.models_root = w->models_root = xstrdup_opt(env->models_root);
	look(w);
	return &w->base;
}

static void free_engine(struct engine *base)
{
	struct whisper *w = whisper_of(base);
	free(w->program);
	free(w->ffmpeg);
	free(w->models_root);
	free(w);
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct whisper *w = whisper_of(base);
	(void)ask; /* nothing has to be started for it */
	look(w);
	*out = (struct engine_info){.path = w->program};
	/* whisper-server has no option that tells its version. */
	out->version = w->program ? "tells no version" : NULL;
	if (!w->program)
		out->missing = REMEDY;
	else if (!w->ffmpeg)
		out->missing = "ffmpeg, to read recordings; " TRANSCODE_REMEDY;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct whisper *w = whisper_of(base);
	look(w);
	if (w->program && w->ffmpeg)
		capabilities_add_model(c, KIND_STT, "whisper-cpp:*");
}

static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	struct plan plan;
	(void)base;
	return plan_make(&plan, &job->task->stt, job->source, err);
}

/* ---- a run ---- */

static void finish(struct engine_run *r, json_t *json, const struct err *error, bool retryable)
{
	struct engine_result result = {.json = json};
	r->ev->end(r->arg, error ? NULL : &result, error, retryable);
	free(r->wav);
	free(r);
}

static void loading(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, "loading the model");
}

/* The server works, but not on this: it stays warm, and the job is over. */
static void refuse(struct engine_run *r, const struct err *e, bool retryable)
{
	served_refused(steal(&r->served));
	finish(r, NULL, e, retryable);
}

static void answered(void *arg, json_t *result, bool words_dropped, const struct err *err)
{
	struct engine_run *r = arg;
	r->answer = NULL;
	if (err && err->code == EFBIG) {
		refuse(r, err, false);
		return;
	}
	if (err) {
		served_broken(r->served, err);
		return;
	}
	if (words_dropped)
		log_warn(r->engine->env.log, "engine", r->job->job_id,
			 "the times of words do not all fit into one result; some are left out");
	served_good(steal(&r->served));
	finish(r, result, NULL, false);
}

static void replied(void *arg, const struct fetch_reply *reply)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->fetch = NULL;
	if (r->cancelled)
		return;
	if (reply->status == 0) {
		served_broken(r->served, &reply->err);
	} else if (reply->status == 400) {
		err_set(&e, EINVAL, "whisper-server refused the request: %.100s", reply->body);
		refuse(r, &e, false);
	} else if (reply->status != 200) {
		err_set(&e, EIO, "whisper-server answered %d: %.100s", reply->status, reply->body);
		served_broken(r->served, &e);
	} else {
		struct answer_spec spec = {r->plan.language, r->seconds, r->plan.words};
		served_alive(r->served);
		r->answer =
		    answer_start(r->engine->env.pool, reply->body, reply->len, &spec, answered, r);
	}
}

static void ask(void *arg, const struct warm *w)
{
	struct engine_run *r = arg;
	if (r->cancelled)
		return;
	r->ev->progress(r->arg, STAGE_RUNNING, 0, "transcribing");
	r->fetch = request_send(r->engine->env.net, w->base_url, &r->plan, r->job->task->stt.prompt,
				r->wav, replied, r);
}

static void abandon(void *arg)
{
	struct engine_run *r = arg;
	fetch_cancel(steal(&r->fetch));
	answer_forget(steal(&r->answer));
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	double f = plan_progress(text);
	(void)fd;
	if (r->aborting && strstr(text, "client disconnected")) {
		r->aborting = false;
		served_cancel(r->served, false);
	}
	if (f < 0 || r->cancelled || !r->fetch)
		return;
	served_alive(r->served);
	r->ev->progress(r->arg, STAGE_RUNNING, f, "transcribing");
}

static void failed(void *arg, const struct err *err, bool retryable)
{
	struct engine_run *r = arg;
	r->served = NULL;
	fetch_cancel(steal(&r->fetch));
	answer_forget(steal(&r->answer));
	struct err cancelled = ERR_INIT;
	if (r->cancelled) {
		err_set(&cancelled, ECANCELED, "cancelled");
		err = &cancelled;
		retryable = false;
	}
	finish(r, NULL, err, retryable);
}

static const char *threads(char out[16])
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 4;
	snprintf(out, 16, "%d", n > MAX_THREADS ? MAX_THREADS : n);
	return out;
}

static void serve(struct engine_run *r)
{
	static const struct served_ops ops = {
	    .loading = loading, .ask = ask, .abandon = abandon, .line = line, .failed = failed};
	static const char *const env[] = {"GGML_NO_BACKTRACE=1", NULL};
	const char *model = r->job->files[r->plan.model], *vad = NULL;
	char n[16];
	if (r->plan.vad_model != SIZE_MAX)
		vad = r->job->files[r->plan.vad_model];
	/* "." would be the folder of pages it shows, and of files it writes. */
	const char *argv[] = {"-m",    model,	   "--host", "127.0.0.1", "--port", "{port}",
			      "-t",    threads(n), "-l",     "auto",	  "-pp",    "--tmp-dir",
			      "{dir}", "--public", "{dir}",  NULL,	  NULL,	    NULL};
	const char *files[] = {model, vad, NULL};
	if (vad) {
		argv[15] = "--vad-model";
		argv[16] = vad;
	}
	struct patience patience = plan_patience(r->model.bytes, r->seconds);
	struct served_spec spec = {
	    .warm = {.engine = "whisper-cpp",
		     .model = r->job->model,
		     .program = r->engine->program,
		     .argv = argv,
		     .env = env,
		     .files = files,
		     .ready_path = "/health",
		     .memory_bytes = r->job->memory_bytes,
		     .load_ms = warm_load_ms(files),
		     .lanes = 1},
	    .job_id = r->job->job_id,
	    .silence_ms = patience.silence_ms,
	    .total_ms = patience.total_ms,
	};
	r->served = served_start(r->engine->env.host, r->engine->env.clock, r->engine->env.log,
				 &spec, &ops, r);
}

static void converting(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, "reading the recording");
}

static void converted(void *arg, double seconds, const struct err *err)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->audio = NULL;
	r->seconds = seconds;
	if (!err && r->cancelled) {
		err_set(&e, ECANCELED, "cancelled");
		err = &e;
	}
	if (err)
		finish(r, NULL, err, err->code != EINVAL && err->code != ECANCELED);
	else
		serve(r);
}

static int convert(struct engine_run *r, struct err *err)
{
	static const struct audio_events events = {.progress = converting, .end = converted};
	struct audio_spec spec = {
	    .ffmpeg = r->engine->ffmpeg,
	    .job_id = r->job->job_id,
	    .input = r->job->audio,
	    .output = r->wav,
	};
	r->audio = audio_start(&r->engine->env, &spec, &events, r, err);
	return r->audio ? 0 : -err->code;
}

/* What only the file itself tells. */
static int check_model(struct model *m, const struct plan *p, const struct engine_job *job,
		       struct err *err)
{
	if (model_read(m, job->files[p->model], err) < 0)
		return -err->code;
	bool english = strcmp(p->language, "en") == 0 || strcmp(p->language, "auto") == 0;
	if (m->english_only && !english)
		return err_set(err, EINVAL, "the model understands English only, not '%s'",
			       p->language);
	if (!m->cantonese && strcmp(p->language, "yue") == 0)
		return err_set(err, EINVAL,
			       "the model does not know Cantonese; large-v3 and its like do");
	return 0;
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct whisper *w = whisper_of(base);
	struct plan plan;
	*retryable = false;
	if (plan_make(&plan, &job->task->stt, job->source, err) < 0)
		return NULL;
	if (!w->program || !w->ffmpeg || !w->env.host || !w->env.net) {
		err_set(err, ENOENT, "%s", w->program ? TRANSCODE_REMEDY : REMEDY);
		return NULL;
	}
	if (!job->audio || !job->files) {
		err_set(err, EINVAL, "there is no recording to transcribe");
		return NULL;
	}
	struct model model;
	if (check_model(&model, &plan, job, err) < 0)
		return NULL;
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){
	    .engine = w, .job = job, .ev = ev, .arg = arg, .plan = plan, .model = model};
	r->wav = fs_join(job->scratch, "audio.wav");
	if (convert(r, err) == 0)
		return r;
	*retryable = true;
	free(r->wav);
	free(r);
	return NULL;
}

/* A server that is asked hears of it by the closed connection and says so; one that does not (an
 * older one, or busy on the GPU) is killed. */
static void cancel(struct engine_run *r)
{
	if (r->cancelled)
		return;
	r->cancelled = true;
	if (r->audio) {
		audio_kill(r->audio);
	} else if (r->fetch) {
		fetch_cancel(steal(&r->fetch));
		r->aborting = true;
		served_cancel_within(r->served, ABORT_MS);
	} else if (r->served) {
		answer_forget(steal(&r->answer));
		served_cancel(r->served, false);
	}
}

const struct engine_ops whisper_cpp_engine = {
    .name = "whisper-cpp",
    .kinds = KIND_BIT(KIND_STT),
    .provisioned = KIND_BIT(KIND_STT),
    .summary = "text from speech in 100 languages, by whisper.cpp",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
};
