/* plan.c - see plan.h. SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/plan.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "worker/engine/sd-cpp/files.h"
#include "worker/engine/transcode.h"
#include "worker/engine/writer.h"

/* sd-server's own limits (its capabilities); it does not enforce the sizes, and would take more
 * than 100 steps for 100. */
#define MIN_SIDE   64
#define MAX_SIDE   4096
#define MAX_STEPS  100
#define MAX_CFG	   100.0
#define MULTIPLE   16 /* nearly every model's sizes; others are rounded up */
#define ROUNDED	   64 /* by less than this */
#define MAX_SECS   60.0
#define MAX_FPS	   60
#define MAX_FRAMES 1025
/* Pixels of all frames: a minute of 832x480 at 16 frames a second. */
#define MAX_TOTAL 400e6

/* What the wire fills in for a task that does not say. */
#define WIRE_STEPS 20
#define FPS_NORMAL 16 /* Wan's, and sd-server's own default */

/* sample_method_to_str[] of stable-diffusion.cpp 97d2990, August 2026. */
static const char *const known_samplers[] = {
    "euler",	     "euler_a",	       "heun",	  "dpm2",	  "dpm++2s_a",	    "dpm++2m",
    "dpm++2mv2",     "ipndm",	       "ipndm_v", "lcm",	  "ddim_trailing",  "tcd",
    "res_multistep", "res_2s",	       "er_sde",  "euler_cfg_pp", "euler_a_cfg_pp", "euler_ge",
    "dpm++2m_sde",   "dpm++2m_sde_bt", "lms",
};

/* ---- facts ---- */

static void add_sampler(struct facts *f, const char *name)
{
	size_t n = strlen(name) + 1;
	if (f->n_samplers < ARRAY_LEN(f->samplers) && n <= sizeof f->samplers[0])
		memcpy(f->samplers[f->n_samplers++], name, n);
}

void facts_init(struct facts *f)
{
	*f = (struct facts){.webp = true};
	for (size_t i = 0; i < ARRAY_LEN(known_samplers); i++)
		add_sampler(f, known_samplers[i]);
}

void facts_take(struct facts *f, const json_t *c)
{
	const json_t *samplers = json_object_get(c, "samplers"), *item;
	const json_t *formats =
	    json_object_get(json_object_get(c, "output_formats_by_mode"), "img_gen");
	size_t i;
	if (json_array_size(samplers) > 0)
		f->n_samplers = 0;
	json_array_foreach (samplers, i, item) {
		if (json_is_string(item))
			add_sampler(f, json_string_value(item));
	}
	if (json_array_size(formats) > 0)
		f->webp = false;
	json_array_foreach (formats, i, item) {
		if (json_is_string(item) && strcmp(json_string_value(item), "webp") == 0)
			f->webp = true;
	}
}

static bool has_sampler(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->n_samplers; i++) {
		if (strcmp(f->samplers[i], name) == 0)
			return true;
	}
	return false;
}

/* ---- values ---- */

static int64_t whole(const json_t *defaults, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(defaults, key);
	if (json_is_integer(v))
		return json_integer_value(v);
	return json_is_real(v) && fabs(json_real_value(v)) < 1e9 ? llround(json_real_value(v))
								 : fallback;
}

static double number(const json_t *defaults, const char *key, double fallback)
{
	const json_t *v = json_object_get(defaults, key);
	return json_is_number(v) ? json_number_value(v) : fallback;
}

static bool given(const struct task *t, const char *key)
{
	const json_t *v = json_object_get(t->raw, key);
	return v && !json_is_null(v);
}

static void sizes(struct plan *p, const struct task *t, int64_t width, int64_t height,
		  const json_t *defaults)
{
	p->width = given(t, "width") ? width : whole(defaults, "width", 1024);
	p->height = given(t, "height") ? height : whole(defaults, "height", 1024);
}

static void settings(struct plan *p, const json_t *defaults)
{
	const json_t *flow = json_object_get(defaults, "flowShift");
	p->has_flow_shift = json_is_number(flow);
	p->flow_shift = p->has_flow_shift ? json_number_value(flow) : 0;
	p->zero_cond_t = json_is_true(json_object_get(defaults, "zeroCondT"));
	p->offload = json_is_true(json_object_get(defaults, "offloadToCpu"));
	p->sampler = json_string_value(json_object_get(defaults, "samplingMethod"));
	p->cfg_scale = number(defaults, "cfgScale", 1.0);
	p->steps = whole(defaults, "steps", 8);
}

static void draw_seed(struct plan *p)
{
	struct rng rng;
	rng_init_system(&rng);
	p->seed = rng_u64(&rng) & INT32_MAX; /* as people write seeds down */
}

static void take_image(struct plan *p, const struct task *t, const json_t *defaults,
		       const struct facts *facts)
{
	const struct task_image *i = &t->image;
	settings(p, defaults);
	sizes(p, t, i->width, i->height, defaults);
	p->prompt = i->prompt;
	p->negative = i->negative_prompt ? i->negative_prompt : "";
	if (given(t, "steps") && i->steps != WIRE_STEPS)
		p->steps = i->steps;
	if (i->has_cfg_scale)
		p->cfg_scale = i->cfg_scale;
	if (i->sampling_method && i->sampling_method[0])
		p->sampler = i->sampling_method;
	p->strength = i->has_denoise ? i->denoise : 0.75;
	/* Two ways to use a picture; the reference is the newer one and wins. */
	p->reference = i->ref_image_url != NULL;
	p->init = i->init_image_url && !p->reference;
	p->mask = i->mask_url != NULL;
	p->ext = i->ext;
	/* What the engine rounds up is cut here, and what is cut had better not be packed twice. */
	bool lossless = p->width % MULTIPLE || p->height % MULTIPLE ||
			(facts && !facts->webp && strcmp(p->ext, "webp") == 0);
	p->format = lossless || strcmp(p->ext, "png") == 0 ? "png"
		    : strcmp(p->ext, "webp") == 0	   ? "webp"
							   : "jpeg";
	if (i->has_seed)
		p->seed = i->seed & INT64_MAX; /* sd-server takes a negative one for "any" */
	else
		draw_seed(p);
}

static void take_video(struct plan *p, const struct task *t, const json_t *defaults)
{
	const struct task_video *v = &t->video;
	settings(p, defaults);
	sizes(p, t, v->width, v->height, defaults);
	p->video = true;
	p->prompt = v->prompt;
	p->negative = v->negative_prompt ? v->negative_prompt : "";
	p->strength = 0.75;
	p->init = v->init_image_url != NULL;
	p->ext = v->ext;
	p->format = "avi"; /* Debian's ffmpeg reads no animated WebP */
	draw_seed(p);
}

/* Video models think in groups of four frames behind the first; sd-server rounds down. */
static int take_frames(struct plan *p, const struct task_video *v, struct err *e)
{
	double fps = v->has_fps ? v->fps : FPS_NORMAL;
	if (!(fps >= 1) || fps > MAX_FPS)
		return err_set(e, EINVAL, "%g frames a second are out of range: 1 to %d", fps,
			       MAX_FPS);
	if (!(v->seconds > 0) || v->seconds > MAX_SECS)
		return err_set(e, EINVAL, "a length of %g seconds is out of range: up to %g",
			       v->seconds, MAX_SECS);
	p->fps = (int)lround(fps);
	p->keep = llround(v->seconds * p->fps);
	if (p->keep < 1)
		p->keep = 1;
	p->frames = (p->keep + 2) / 4 * 4 + 1;
	if (p->frames > MAX_FRAMES ||
	    (double)p->frames * (double)p->width * (double)p->height > MAX_TOTAL)
		return err_set(e, EINVAL,
			       "%lld frames of %lldx%lld are too much: at most %d, and %.0f "
			       "megapixels of all together; ask for less",
			       (long long)p->frames, (long long)p->width, (long long)p->height,
			       MAX_FRAMES, MAX_TOTAL / 1e6);
	return 0;
}

/* ---- checks ---- */

static int check_sampler(const struct plan *p, const struct facts *facts, struct err *e)
{
	struct facts builtin;
	if (!p->sampler)
		return 0;
	if (!facts) {
		facts_init(&builtin);
		facts = &builtin;
	}
	if (has_sampler(facts, p->sampler))
		return 0;
	char names[400] = "";
	for (size_t i = 0; i < facts->n_samplers; i++) {
		size_t at = strlen(names);
		snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", facts->samplers[i]);
	}
	return err_set(e, EINVAL, "stable-diffusion.cpp has no sampling method '%.40s' (has: %s)",
		       p->sampler, names);
}

static int check_sizes(const struct plan *p, struct err *e)
{
	if (p->width < MIN_SIDE || p->width > MAX_SIDE || p->height < MIN_SIDE ||
	    p->height > MAX_SIDE)
		return err_set(e, EINVAL, "a size of %lldx%lld is out of range: %d to %d a side",
			       (long long)p->width, (long long)p->height, MIN_SIDE, MAX_SIDE);
	if (p->steps < 1 || p->steps > MAX_STEPS)
		return err_set(e, EINVAL, "%lld steps are out of range: 1 to %d",
			       (long long)p->steps, MAX_STEPS);
	return 0;
}

static int check_numbers(const struct plan *p, struct err *e)
{
	if (!(p->cfg_scale >= 0) || p->cfg_scale > MAX_CFG)
		return err_set(e, EINVAL, "a cfgScale of %g is out of range: 0 to %g", p->cfg_scale,
			       MAX_CFG);
	if (!(p->strength >= 0) || p->strength > 1)
		return err_set(e, EINVAL, "a denoise of %g is out of range: 0 to 1", p->strength);
	if (p->has_flow_shift && !(p->flow_shift > 0 && p->flow_shift <= 100))
		return err_set(e, EINVAL, "a flowShift of %g is out of range: above 0, up to 100",
			       p->flow_shift);
	return 0;
}

static int check_ext(const struct plan *p, struct err *e)
{
	if (p->video && !transcode_can(p->ext, true))
		return err_set(e, EINVAL, "a video can be mp4, webm, webp or gif, not '%.16s'",
			       p->ext);
	if (!p->video && !image_writer_can(p->ext))
		return err_set(e, EINVAL, "an image can be webp, png or jpg, not '%.16s'", p->ext);
	if (p->mask && !p->init && !p->reference)
		return err_set(e, EINVAL,
			       "a mask needs a picture it lies on: initImageUrl or refImageUrl");
	return 0;
}

int sd_plan_make(struct plan *p, const struct engine_job *job, const struct facts *facts,
		 struct err *e)
{
	const struct task *t = job->task;
	*p = (struct plan){0};
	if (t->kind == KIND_VIDEO)
		take_video(p, t, job->source->cli_defaults);
	else
		take_image(p, t, job->source->cli_defaults, facts);
	int rc = sd_files_check(job->source, e);
	if (rc < 0 || (rc = check_ext(p, e)) < 0 || (rc = check_sizes(p, e)) < 0 ||
	    (rc = check_numbers(p, e)) < 0 || (rc = check_sampler(p, facts, e)) < 0)
		return rc;
	return p->video ? take_frames(p, &t->video, e) : 0;
}

/* ---- how long, how much ---- */

/* A step of one megapixel takes a second on a small GPU and a minute on a CPU; text encoder and
 * decoder are about two steps more. */
struct patience sd_plan_patience(const struct plan *p)
{
	double frames = p->video ? (double)p->frames : 1;
	double step_s = 60 * (double)(p->width * p->height) / 1e6 * frames;
	double most_s = 6 * 3600;
	return (struct patience){
	    .silence_ms = (uint64_t)(1000 * fmin(most_s, 180 + 3 * step_s)),
	    .total_ms = (uint64_t)(1000 * fmin(most_s, 600 + step_s * (double)(p->steps + 3))),
	};
}

/* Rounded up sizes, and noise that no format makes smaller. */
uint64_t sd_plan_max_bytes(const struct plan *p)
{
	uint64_t pixels = (uint64_t)(p->width + ROUNDED) * (uint64_t)(p->height + ROUNDED);
	uint64_t frames = p->video ? (uint64_t)p->frames : 1;
	return pixels * frames * 4 + (1u << 20);
}
