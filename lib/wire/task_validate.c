/* task_validate.c - what a studio's own front door asks of a task beyond its types.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/task.h"

static int range(const char *name, double value, double lo, double hi, struct err *e)
{
	if (value >= lo && value <= hi)
		return 0;
	return err_set(e, EINVAL, "task.%s must be from %g to %g", name, lo, hi);
}

static int filled(const char *name, const char *text, struct err *e)
{
	return *text ? 0 : err_set(e, EINVAL, "task.%s is empty", name);
}

static int one_of(const char *name, const char *text, const char *const *allowed, size_t n,
		  struct err *e)
{
	char list[128] = "";
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(text, allowed[i]))
			return 0;
		size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", allowed[i]);
	}
	return err_set(e, EINVAL, "task.%s must be one of %s", name, list);
}

static int size(int64_t width, int64_t height, struct err *e)
{
	int rc = range("width", (double)width, 16, 8192, e);
	return rc ? rc : range("height", (double)height, 16, 8192, e);
}

/* What is above INT64_MAX would be stored rounded and leave as a real, which no worker takes for a
 * seed. */
static int seed(const struct task_image *t, struct err *e)
{
	if (!t->has_seed || t->seed <= INT64_MAX)
		return 0;
	return err_set(e, EINVAL, "task.seed must be at most %lld", (long long)INT64_MAX);
}

static int validate_image(const struct task_image *t, struct err *e)
{
	static const char *const exts[] = {"webp", "png", "jpg", "jpeg"};
	int rc = filled("prompt", t->prompt, e);
	if (!rc)
		rc = size(t->width, t->height, e);
	if (!rc)
		rc = range("steps", (double)t->steps, 1, 1000, e);
	if (!rc && t->has_denoise)
		rc = range("denoise", t->denoise, 0, 1, e);
	if (!rc && t->has_cfg_scale)
		rc = range("cfgScale", t->cfg_scale, 0, 100, e);
	if (!rc)
		rc = seed(t, e);
	return rc ? rc : one_of("ext", t->ext, exts, ARRAY_LEN(exts), e);
}

static int validate_llm(const struct task_llm *t, struct err *e)
{
	int rc = range("maxTokens", (double)t->max_tokens, 1, 1000000, e);
	if (!rc)
		rc = range("temperature", t->temperature, 0, 10, e);
	if (!rc && t->has_top_p)
		rc = range("topP", t->top_p, 0, 1, e);
	return rc;
}

static int validate_tts(const struct task_tts *t, struct err *e)
{
	static const char *const exts[] = {"wav", "mp3", "ogg"};
	int rc = filled("text", t->text, e);
	if (!rc)
		rc = filled("voice", t->voice, e);
	if (!rc && t->has_speed)
		rc = range("speed", t->speed, 0.1, 10, e);
	return rc ? rc : one_of("ext", t->ext, exts, ARRAY_LEN(exts), e);
}

static int validate_video(const struct task_video *t, struct err *e)
{
	static const char *const exts[] = {"mp4", "webm", "webp", "gif"};
	int rc = filled("prompt", t->prompt, e);
	if (!rc)
		rc = size(t->width, t->height, e);
	if (!rc)
		rc = range("seconds", t->seconds, 0.1, 600, e);
	if (!rc && t->has_fps)
		rc = range("fps", t->fps, 1, 120, e);
	return rc ? rc : one_of("ext", t->ext, exts, ARRAY_LEN(exts), e);
}

int task_validate(const struct task *t, struct err *e)
{
	if (!t->known)
		return err_set(e, EINVAL,
			       "task.kind must be one of image, llm, audio_stt, "
			       "audio_tts, video");
	switch (t->kind) {
	case KIND_IMAGE:
		return validate_image(&t->image, e);
	case KIND_LLM:
		return validate_llm(&t->llm, e);
	case KIND_STT:
		return filled("inputUrl", t->stt.input_url, e);
	case KIND_TTS:
		return validate_tts(&t->tts, e);
	case KIND_VIDEO:
		return validate_video(&t->video, e);
	case KIND_COUNT:
		break;
	}
	return 0;
}
