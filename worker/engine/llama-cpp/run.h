/* run.h - one job of engine `llama-cpp`: the request to its server, the answer as it streams in.
 * SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_RUN_H
#define LLAMA_CPP_RUN_H

#include <sys/stat.h>

#include "lib/net/fetch.h"
#include "worker/engine/engine.h"
#include "worker/engine/llama-cpp/answer.h"
#include "worker/engine/llama-cpp/flags.h"
#include "worker/engine/llama-cpp/sse.h"
#include "lib/loop/output.h"
#include "worker/host/served.h"

struct llama {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *program; /* NULL: not found */
	char version[128];
	/* What the build knows, and of which file that was asked. */
	bool asked;
	struct flags flags;
	struct stat file;
	struct err why; /* text of info().missing */
};

struct engine_run {
	struct llama *llama;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct child *help; /* while the build is asked what it knows */
	struct flags flags;
	struct flags_files files;
	char *body;
	struct served *served;
	/* ---- one try ---- */
	struct fetch *fetch;
	int status; /* of the answer; 0: none yet */
	struct sse sse;
	bool events; /* there was one */
	struct answer answer;
	struct buf refusal; /* the body of an answer that is no stream */
	enum answer_state state;
	struct err why;
	uint64_t first_ms, told_ms; /* of the first token; of the last progress */
};

/* NULL with err filled when the job's files are not what the engine can use. */
struct engine_run *run_new(struct llama *l, const struct engine_job *job,
			   const struct engine_events *ev, void *arg, struct err *err) MUST_CHECK;
void run_free(struct engine_run *r);
/* Takes a server and asks it. r->flags are known. */
void run_serve(struct engine_run *r);
/* Tells the end, and frees r. */
void run_end(struct engine_run *r, json_t *result, const struct err *error, bool retryable);

#endif
