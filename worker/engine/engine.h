/* engine.h - SEAM: what turns a task into a result.
 * One folder an engine, one row each in registry.c. Everything is asynchronous on the loop thread;
 * engines that compute run in a child process or in the pool. The fake used by tests is
 * tests/fake/fake_engine.c. SPDX-License-Identifier: MIT */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <jansson.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/work.h"
#include "lib/wire/capabilities.h"
#include "lib/wire/frame.h"
#include "lib/wire/source.h"
#include "lib/wire/task.h"

struct loop;
struct transport;
struct host;
struct store;

/* A program whose place the owner wrote down. */
struct program_path {
	const char *name, *path; /* "llama-server", "/opt/llama/llama-server" */
};

/* What engines are given once, at start. What it points to outlives them; the struct and
 * models_root are copied by engines that need them later. */
struct engine_env {
	struct loop *loop; /* for child processes; NULL in the simulator, where only fakes run */
	struct clock *clock;
	struct pool *pool;
	struct log *log;
	const char *models_root;
	const struct program_path *programs; /* of the config; ends with a NULL name; may be NULL */
	struct transport *net; /* of net_new(); NULL in `studio-worker engines` and the simulator */
	struct host *host;     /* warm servers; likewise */
	struct store *store;   /* likewise */
};

/* One job, alive until the run ended. */
struct engine_job {
	const char *job_id;
	const char *model;
	const struct task *task;
	const struct source *source;
	const char *scratch;   /* an empty folder of this job, on the file system of the outbox;
				  removed by the pipeline. NULL for a kind of in_memory, below */
	uint64_t memory_bytes; /* of the GPU, by the offer's estimate; 0: none */
	/* For a kind of `provisioned`, below, else NULL: */
	const char *const *files; /* a local path for each of source->files, in their order */
	/* What the task's addresses point to, as files in the scratch folder, named without an
	 * extension: only their bytes say what they are. NULL: the task names none. */
	const char *init_image, *mask, *ref_image, *audio;
};
/* An estimate in GiB, as offers have it, to bytes: 0 for what is no amount, 1 EiB at most. */
static inline uint64_t engine_memory_bytes(double gib)
{
	const double most = 1 << 30;
	return gib > 0 ? (uint64_t)((gib < most ? gib : most) * (1 << 30)) : 0;
}
/* The local path of the first file of that role, NULL when there is none. */
const char *engine_job_file(const struct engine_job *job, const char *role);

struct engine_result {
	/* Exactly one of the two. file: a finished file inside the scratch folder (path owned by
	 * the engine, valid during the call), ext: its real extension. json: reference borrowed
	 * during the call. */
	const char *file, *ext;
	json_t *json;
};

struct engine_events {
	/* fraction in 0..1, negative when not known; detail may be NULL. */
	void (*progress)(void *arg, enum stage stage, double fraction, const char *detail);
	/* Last event, exactly once, never from inside start() or cancel(). Either result or error
	 * is set. */
	void (*end)(void *arg, const struct engine_result *result, const struct err *error,
		    bool retryable);
};

struct engine;	   /* one engine of this program, made by new() */
struct engine_run; /* one running job */

/* How `studio-worker engines` shows it; strings are the engine's. */
struct engine_info {
	const char *version; /* NULL: not found */
	const char *path;    /* where, NULL for a built-in */
	const char *missing; /* what is missing and how to get it; NULL when ready */
};

struct engine_ops {
	const char *name;     /* as in modelSource.engine */
	unsigned kinds;	      /* KIND_BITs it can serve */
	unsigned in_memory;   /* those of them that need no scratch folder: none is made, scratch is
				 NULL */
	unsigned provisioned; /* those of them whose model files and inputs are brought here before
				 start() */
	const char *summary;  /* one line for people */

	struct engine *(*new)(const struct engine_env *env); /* never NULL, never blocks long */
	void (*free)(struct engine *e);			     /* no run is left */
	/* ask: programs may be started to learn their version, which blocks for seconds: at the
	 * command line only. Else what is known already. */
	void (*info)(struct engine *e, bool ask, struct engine_info *out);
	/* Adds what it can serve now (capabilities_add_model); nothing while something is missing.
	 */
	void (*advertise)(struct engine *e, struct capabilities *c);
	/* Whether the task can be run as asked, by what the engine really supports: sizes, counts,
	 * names. Asked before anything is downloaded or started; job->files and the inputs are not
	 * there yet. Negative with err naming what was wrong and what would do; never retryable.
	 * NULL: start() tells. */
	int (*check)(struct engine *e, const struct engine_job *job, struct err *err);
	/* Checks the task and starts it. NULL with err filled when the task can't be run as asked
	 * (retryable = false is then up to *retryable). The run is the engine's; it is gone after
	 * end(). */
	struct engine_run *(*start)(struct engine *e, const struct engine_job *job,
				    const struct engine_events *ev, void *arg, bool *retryable,
				    struct err *err);
	/* Makes the run end (with an error, ECANCELED) within 3 s. */
	void (*cancel)(struct engine_run *run);
	/* The life of a helper process of ours, for code that must not be able to take the worker
	 * down: `studio-worker engine-helper NAME ...` calls it with what follows the name. An exit
	 * code. NULL: the engine needs none. */
	int (*helper)(int argc, char **argv);
};

/* Implementations embed it first. */
struct engine {
	const struct engine_ops *ops;
};

#endif
