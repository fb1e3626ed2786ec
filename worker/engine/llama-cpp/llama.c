/* llama.c - engine `llama-cpp`: language models by llama-server, kept warm by the host. What a
 * build knows is asked once (--help), then every job is one streamed chat completion: its tokens
 * are the sign of life. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/loop/child.h"
#include "worker/engine/engine.h"
#include "worker/engine/llama-cpp/chat.h"
#include "worker/engine/llama-cpp/flags.h"
#include "worker/engine/llama-cpp/run.h"
#include "worker/engine/program.h"

#define REMEDY                                                                                     \
	"the program llama-server is missing; install llama.cpp (a build for this machine from "   \
	"github.com/ggml-org/llama.cpp/releases, the package llama.cpp where the distribution "    \
	"has one, or from source) and put llama-server into $PATH, or name its place in the "      \
	"config"
#define HELP_MS	  20000 /* a build with GPU libraries opens them before it prints anything */
#define HELP_SIZE (256u << 10)

extern const struct engine_ops llama_cpp_engine;

static struct engine *new (const struct engine_env *env)
{
	struct llama *l = xcalloc(1, sizeof *l);
	l->base.ops = &llama_cpp_engine;
	l->env = *env;
	l->env.models_root = l->models_root = xstrdup_opt(env->models_root);
	engine_program_refresh(&l->program, "llama-server", env);
	return &l->base;
}

static struct llama *llama_of(struct engine *e)
{
	return container_of(e, struct llama, base);
}

static void free_engine(struct engine *base)
{
	struct llama *l = llama_of(base);
	free(l->program);
	free(l->models_root);
	free(l);
}

/* What was learned holds for this very file: the owner may put another in its place at any time. */
static bool learned(struct llama *l)
{
	struct stat st;
	if (!l->asked || stat(l->program, &st) < 0)
		return false;
	return st.st_ino == l->file.st_ino && st.st_size == l->file.st_size &&
	       st.st_mtim.tv_sec == l->file.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == l->file.st_mtim.tv_nsec;
}

static void learn(struct llama *l, const struct flags *f)
{
	l->flags = *f;
	l->asked = stat(l->program, &l->file) == 0;
}

static bool too_old(struct llama *l)
{
	struct err e = ERR_INIT;
	return learned(l) && flags_check(&l->flags, &e) < 0;
}

/* ---- for people ---- */

/* "version: 5092 (d3bd7193)" among what GPU libraries print. */
static void ask_version(struct llama *l)
{
	char text[4096];
	engine_program_output(l->program, "--version", text, sizeof text);
	const char *at = strstr(text, "version: ");
	at = at ? at + strlen("version: ") : "of an unknown version";
	snprintf(l->version, sizeof l->version, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static void ask_flags(struct llama *l)
{
	struct flags f = {0};
	auto_free char *text = xmalloc(HELP_SIZE);
	engine_program_output(l->program, "--help", text, HELP_SIZE);
	flags_read(&f, text);
	learn(l, &f);
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct llama *l = llama_of(base);
	engine_program_refresh(&l->program, "llama-server", &l->env);
	*out = (struct engine_info){.path = l->program};
	if (!l->program) {
		out->missing = REMEDY;
		return;
	}
	if (ask && (!l->version[0] || !learned(l))) {
		ask_version(l);
		ask_flags(l);
	}
	out->version = l->version;
	err_clear(&l->why);
	if (flags_check(&l->flags, &l->why) < 0)
		out->missing = l->why.text;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct llama *l = llama_of(base);
	engine_program_refresh(&l->program, "llama-server", &l->env);
	if (l->program && !too_old(l))
		capabilities_add_model(c, KIND_LLM, "llama-cpp:*");
}

/* ---- a job ---- */

static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	struct llama *l = llama_of(base);
	struct flags_files files;
	if (!l->program)
		return err_set(err, ENOENT, REMEDY);
	int rc = chat_check(&job->task->llm, job->source->cli_defaults, err);
	return rc ? rc : flags_files(job->source, job->files, &files, err);
}

static void help_line(void *arg, int fd, const char *line)
{
	struct engine_run *r = arg;
	(void)fd;
	flags_read(&r->flags, line);
}

static int help_outcome(struct engine_run *r, const struct child_end *end, struct err *e)
{
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (r->flags.known)
		return 0;
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "llama-server --help said nothing within %d s",
			       HELP_MS / 1000);
	if (end->signal)
		return err_set(e, EIO, "llama-server --help was ended by signal %d: %s",
			       end->signal, end->first_error);
	return end->exit_code ? err_set(e, EIO, "llama-server --help failed with exit code %d: %s",
					end->exit_code, end->first_error)
			      : 0;
}

static void helped(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->help = NULL;
	int rc = help_outcome(r, end, &e);
	if (rc == 0) {
		learn(r->llama, &r->flags);
		rc = flags_check(&r->flags, &e);
	}
	if (rc == 0)
		run_serve(r);
	else
		run_end(r, NULL, &e, rc != -ECANCELED && rc != -ENOTSUP);
}

static int ask_help(struct engine_run *r, struct err *err)
{
	static const struct child_events events = {.line = help_line, .end = helped};
	const char *argv[] = {r->llama->program, "--help", NULL};
	struct child_spec spec = {.argv = argv, .deadline_ms = HELP_MS};
	r->help = child_start(r->llama->env.loop, &spec, &events, r, err);
	return r->help ? 0 : -err->code;
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct llama *l = llama_of(base);
	*retryable = false;
	engine_program_refresh(&l->program, "llama-server", &l->env);
	if (check(base, job, err) < 0)
		return NULL;
	if (learned(l) && flags_check(&l->flags, err) < 0)
		return NULL;
	struct engine_run *r = run_new(l, job, ev, arg, err);
	if (!r)
		return NULL;
	if (learned(l)) {
		r->flags = l->flags;
		run_serve(r);
	} else if (ask_help(r, err) < 0) {
		*retryable = true;
		run_free(r);
		return NULL;
	}
	return r;
}

static void cancel(struct engine_run *r)
{
	if (r->help)
		child_kill(r->help);
	else
		served_cancel(r->served, false);
}

const struct engine_ops llama_cpp_engine = {
    .name = "llama-cpp",
    .kinds = KIND_BIT(KIND_LLM),
    .in_memory = KIND_BIT(KIND_LLM),
    .provisioned = KIND_BIT(KIND_LLM),
    .summary = "language models (GGUF), by llama-server",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
};
