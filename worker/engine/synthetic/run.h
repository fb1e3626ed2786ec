/* run.h - one running job of the synthetic engine. What the pool computes and what the loop sees
 * meet in two atomics. SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_RUN_H
#define SYNTHETIC_RUN_H

#include <stdatomic.h>

#include "worker/engine/engine.h"
#include "worker/engine/synthetic/picture.h"
#include "worker/engine/transcode.h"

struct synthetic {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *ffmpeg; /* NULL: not found */
};

struct engine_run {
	struct synthetic *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct timer timer; /* progress; for JSON kinds the end */
	struct work work;
	int pending; /* parts of a run that have not ended: the work, the child */
	bool cancelled;
	struct transcode *transcode;
	char *file, *ext; /* the result */
	char *input;	  /* what ffmpeg reads */
	double converted; /* what ffmpeg has done, 0..1; negative: not running */
	struct err error; /* the first one */

	/* Set before the work begins, read by it: */
	unsigned char key[32];
	struct picture *picture;
	int64_t total, frames;
	double fps;

	/* Between the threads: */
	atomic_bool stop;
	atomic_int_least64_t done; /* of total */
	struct err work_error;	   /* written by the work, read after it */
};

/* Each checks its task and fills the run; negative with err set when it can't be run as asked. */
int image_prepare(struct engine_run *r, struct err *err) MUST_CHECK;
int melody_prepare(struct engine_run *r, struct err *err) MUST_CHECK;
int video_prepare(struct engine_run *r, struct err *err) MUST_CHECK; /* starts ffmpeg as well */

/* In the pool: the file, or the frames into the FIFO. */
int image_render(struct engine_run *r, struct err *err) MUST_CHECK;
int melody_render(struct engine_run *r, struct err *err) MUST_CHECK;
int video_render(struct engine_run *r, struct err *err) MUST_CHECK;

/* The JSON results; new references. */
json_t *answer_llm(const struct engine_job *job, int64_t wall_ms);
json_t *answer_stt(const struct engine_job *job);

/* ffmpeg between r->input and r->file. */
int run_transcode(struct engine_run *r, struct transcode_spec *spec, struct err *err) MUST_CHECK;
/* SHA-256 of a domain and two texts (the second may be NULL): where everything of a result comes
 * from. */
void run_key(const char *domain, const char *text, const char *more, unsigned char key[32]);
/* Sizes both image and video accept. */
int run_check_size(int64_t w, int64_t h, int64_t max_side, int64_t max_pixels,
		   struct err *err) MUST_CHECK;

#endif
