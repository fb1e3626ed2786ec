/* run.h - one job of this engine, and what its files share.
 *
 *   (fetching the ──▶ preparing ──▶ asking sd-server ──▶ checking ──▶ (video: ffmpeg) ──▶ over
 *    programs)        (prepare.c)   or running sd-cli    (outcome.c)
 *   (programs.c)                    (server.c, cli.c)
 *
 * One thing is under way at a time; what runs in the pool is waited for before the job ends.
 * SPDX-License-Identifier: MIT */
#ifndef SD_CPP_RUN_H
#define SD_CPP_RUN_H

#include <sys/stat.h>

#include "lib/loop/output.h"
#include "lib/net/fetch.h"
#include "worker/engine/sd-cpp/files.h"
#include "worker/engine/sd-cpp/inputs.h"
#include "worker/engine/sd-cpp/plan.h"
#include "worker/engine/sd-cpp/says.h"
#include "worker/engine/sd-cpp/scan.h"
#include "worker/engine/sd-cpp/spool.h"
#include "worker/engine/transcode.h"
#include "worker/host/served.h"

struct sd {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *server, *cli, *ffmpeg; /* NULL: not found */
	char version[128], remedy[700];
	bool fetching; /* a job is downloading them */
	struct facts facts;
	/* What prebuilt_check() said, and when: it opens the Vulkan loader. */
	bool checked;
	uint64_t checked_ms;
	struct err not_fetched;
	/* What --help said, of this very file: the owner may put another in its place any time. */
	bool zero_known, old_zero_flag;
	struct stat zero_of;
};

struct engine_run {
	struct sd *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct plan plan;
	struct standing standing;
	bool cancelled;
	struct prebuilt *prebuilt; /* while fetching the programs */

	/* preparing */
	bool by_server;	    /* sd-server is asked, not sd-cli */
	bool old_zero_flag; /* the program has --qwen-image-zero-cond-t */
	struct stat asked;  /* whose --help is read */
	struct inputs inputs;
	char **loras;
	size_t n_loras;
	char *body; /* for sd-server */
	size_t body_len;
	bool through_ffmpeg[INPUT_KINDS];

	/* in the pool; `then` follows on the loop, not after a cancellation */
	struct work work;
	bool working;
	void (*then)(struct engine_run *r);
	struct err work_err;
	bool ending; /* only the pool is waited for: */
	struct err end_err;
	bool end_retryable;

	struct transcode *transcode;

	/* sd-server */
	struct served *served;
	char *base_url, *dir, id[80];
	struct fetch *fetch;
	int status;
	struct scan scan;
	struct spool *spool;
	struct err stream_err; /* why the stream was stopped */
	struct timer timer;    /* also of programs.c */
	uint64_t asked_ms;
	bool done_said;	      /* the answer is about to be there */
	unsigned n_asked;     /* how often since */
	char error_line[200]; /* the first of this try */

	/* sd-cli */
	struct child *child;
	struct output output;
	struct timer silence;
	bool silent;

	/* what the engine made, and what becomes of it */
	unsigned attempt;
	char *raw, *result;
	int raw_width, raw_height;
};

void sd_run_finish(struct engine_run *r, const struct err *error, bool retryable);
void sd_run_pool(struct engine_run *r, void (*work)(struct work *),
		 void (*then)(struct engine_run *));
/* One line of output, of either program: progress, and the first error. True when it moved. */
bool sd_run_line(struct engine_run *r, int fd, const char *text);
/* The words of an engine, without "[ERROR] file.cpp:123 - ". */
const char *sd_run_words(const char *line);
/* A new name for what the engine makes, so that an earlier try in the pool can't spoil it. */
void sd_run_name_raw(struct engine_run *r);

void sd_look(struct sd *sd); /* for the programs, again */
bool sd_present(const struct sd *sd);

/* Of a run that has started nothing yet; goes on with sd_prepare_start(). */
void programs_start(struct engine_run *r);
void programs_cancel(struct engine_run *r);

void sd_prepare_start(struct engine_run *r);

void sd_server_start(struct engine_run *r);
void sd_server_cancel(struct engine_run *r);

int sd_cli_check(const struct plan *p, const struct source *s, struct err *e) MUST_CHECK;
void sd_cli_start(struct engine_run *r);

/* Looks at r->raw; `then` follows with r->work_err set when it is not what was asked for. */
void outcome_check(struct engine_run *r, void (*then)(struct engine_run *));
/* Makes the result of what was checked, and ends the run. */
void outcome_deliver(struct engine_run *r);

#endif
