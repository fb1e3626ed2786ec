/* files.c - see files.h. SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/files.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/sd-cpp/plan.h"

#define MAX_LORAS 8

void sd_args_add(struct args *a, const char *s)
{
	if (a->n < ARRAY_LEN(a->items) - 1)
		a->items[a->n++] = s;
}

void sd_args_pair(struct args *a, const char *flag, const char *value)
{
	sd_args_add(a, flag);
	sd_args_add(a, value);
}

void sd_args_printf(struct args *a, const char *fmt, ...)
{
	va_list ap;
	if (a->n_own == ARRAY_LEN(a->own))
		return;
	va_start(ap, fmt);
	a->own[a->n_own] = xvasprintf(fmt, ap);
	va_end(ap);
	sd_args_add(a, a->own[a->n_own++]);
}

void sd_args_fini(struct args *a)
{
	for (size_t i = 0; i < a->n_own; i++)
		free(a->own[i]);
	*a = (struct args){0};
}

/* ---- roles ---- */

/* Whether the name has the word, at its start or behind something that is no letter. */
static bool named(const char *filename, const char *word)
{
	for (const char *at = filename; (at = strcasestr(at, word)); at++) {
		if (at == filename || !isalpha((unsigned char)at[-1]))
			return true;
	}
	return false;
}

static const char *encoder_flag(const char *filename)
{
	if (named(filename, "clip_l") || named(filename, "clip-l"))
		return "--clip_l";
	if (named(filename, "clip_g") || named(filename, "clip-g"))
		return "--clip_g";
	if (named(filename, "t5") || named(filename, "umt5"))
		return "--t5xxl";
	return "--llm";
}

/* NULL: a role that is no flag. */
static const char *flag_of(const struct source_file *f)
{
	if (strcmp(f->role, "diffusion-model") == 0)
		return "--diffusion-model";
	if (strcmp(f->role, "model") == 0)
		return "--model";
	if (strcmp(f->role, "text-encoder") == 0)
		return encoder_flag(f->filename);
	if (strcmp(f->role, "text-encoder-vision") == 0)
		return "--llm_vision";
	if (strcmp(f->role, "vae") == 0)
		return named(f->filename, "tae") ? "--tae" : "--vae";
	return NULL;
}

static bool is_lora(const struct source_file *f)
{
	return strcmp(f->role, "lora") == 0;
}

static int check_one(const struct source *s, size_t i, struct err *e)
{
	const struct source_file *f = &s->files[i];
	const char *flag = flag_of(f);
	if (is_lora(f))
		return 0;
	if (!flag)
		return err_set(e, EINVAL,
			       "a file of the role '%.40s' is nothing stable-diffusion.cpp knows "
			       "(model, diffusion-model, text-encoder, text-encoder-vision, vae, "
			       "lora)",
			       f->role);
	for (size_t k = 0; k < i; k++) {
		const char *other = flag_of(&s->files[k]);
		if (other && strcmp(other, flag) == 0)
			return err_set(e, EINVAL, "'%.80s' and '%.80s' are both meant for %s",
				       s->files[k].filename, f->filename, flag);
	}
	return 0;
}

int sd_files_check(const struct source *s, struct err *e)
{
	size_t models = 0;
	for (size_t i = 0; i < s->n_files; i++) {
		int rc = check_one(s, i, e);
		if (rc < 0)
			return rc;
		models += strcmp(s->files[i].role, "model") == 0 ||
			  strcmp(s->files[i].role, "diffusion-model") == 0;
	}
	if (models == 0)
		return err_set(e, EINVAL,
			       "the model has no file of the role model or diffusion-model");
	if (sd_files_loras(s) > MAX_LORAS)
		return err_set(e, EINVAL, "%zu LoRAs are too many: at most %d", sd_files_loras(s),
			       MAX_LORAS);
	return 0;
}

void sd_files_flags(const struct engine_job *job, struct args *a)
{
	for (size_t i = 0; i < job->source->n_files; i++) {
		const char *flag = flag_of(&job->source->files[i]);
		if (flag)
			sd_args_pair(a, flag, job->files[i]);
	}
}

void sd_plan_flags(const struct plan *p, bool old_zero_flag, struct args *a)
{
	if (p->offload)
		sd_args_add(a, "--offload-to-cpu");
	if (p->zero_cond_t && old_zero_flag)
		sd_args_add(a, "--qwen-image-zero-cond-t");
	else if (p->zero_cond_t)
		sd_args_pair(a, "--model-args", "qwen_image_zero_cond_t=true");
}

/* ---- LoRAs ---- */

size_t sd_files_loras(const struct source *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_files; i++)
		n += is_lora(&s->files[i]);
	return n;
}

/* FNV-1a: the place of the file, so that no two files of one name meet. */
static char *link_name(const char *path, const char *filename)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (const char *c = path; *c; c++)
		h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	const char *dot = strrchr(filename, '.');
	return xasprintf("lora-%016llx%s", (unsigned long long)h, dot ? dot : "");
}

static int link_one(const char *path, const char *dir, const char *name, struct err *e)
{
	auto_free char *to = fs_join(dir, name);
	if (symlink(path, to) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot link a LoRA to %s", to);
	return 0;
}

char **sd_files_lora_names(const struct engine_job *job, size_t *n)
{
	const struct source *s = job->source;
	char **names = xcalloc(MAX_LORAS, sizeof *names);
	*n = 0;
	for (size_t i = 0; i < s->n_files && *n < MAX_LORAS; i++) {
		if (is_lora(&s->files[i]))
			names[(*n)++] = link_name(job->files[i], s->files[i].filename);
	}
	return names;
}

int sd_files_link_loras(const struct engine_job *job, char *const *names, const char *dir,
			struct err *e)
{
	const struct source *s = job->source;
	size_t n = 0;
	for (size_t i = 0; i < s->n_files && n < MAX_LORAS; i++) {
		if (is_lora(&s->files[i]) && link_one(job->files[i], dir, names[n++], e) < 0)
			return -e->code;
	}
	return 0;
}

void sd_files_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
