/* plan.h - what a task asks of sd-server or sd-cli, with the model's defaults filled in, checked
 * against what they support. Pure. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_PLAN_H
#define SD_CPP_PLAN_H

#include "worker/engine/engine.h"

#define PLAN_MAX_FILES 16 /* of a model */

/* What the server that was asked last said of itself, or what the sources of August 2026 say. */
struct facts {
	char samplers[64][32];
	size_t n_samplers;
	bool webp; /* whether it writes pictures as WebP */
};
void facts_init(struct facts *f);
/* From the answer of GET /sdcpp/v1/capabilities; what it does not say stays. */
void facts_take(struct facts *f, const json_t *capabilities);

struct plan {
	bool video;
	const char *prompt, *negative; /* of the task; negative is "" when there is none */
	int64_t width, height, steps;
	double cfg_scale, strength;
	bool has_flow_shift;
	double flow_shift;
	const char *sampler; /* NULL: the model's own */
	uint64_t seed;	     /* at most INT64_MAX; drawn when the task has none */
	bool reference, init, mask;
	bool zero_cond_t, offload;
	const char *ext;    /* of the result */
	const char *format; /* what the engine is asked for: png, jpeg, webp; avi for a video */
	int64_t frames;	    /* asked of the engine: 4n + 1 */
	int64_t keep;	    /* frames of the result */
	int fps;
};

/* Every value: the task's, else cliDefaults', else 1024x1024, 8 steps, cfg 1. The wire fills in
 * defaults, so width and height are the task's only when its JSON has them; 20 steps are nobody's
 * choice even then, because studios write that default out. facts may be NULL. */
int sd_plan_make(struct plan *p, const struct engine_job *job, const struct facts *facts,
		 struct err *e) MUST_CHECK;

/* How long it may take, on the slowest machine that is worth it (a CPU). */
struct patience {
	uint64_t silence_ms; /* from one line of progress to the next */
	uint64_t total_ms;
};
struct patience sd_plan_patience(const struct plan *p);
/* Most bytes the engine's answer may have. */
uint64_t sd_plan_max_bytes(const struct plan *p);

#endif
