/* files.h - the files of a model as flags of sd-server and sd-cli.
 *
 *   diffusion-model      --diffusion-model
 *   model                --model
 *   text-encoder         --llm; by its name --clip_l, --clip_g or --t5xxl
 *   text-encoder-vision  --llm_vision
 *   vae                  --vae; --tae for a file named like a tiny autoencoder (taesd, taef1)
 *   lora                 linked into the folder of --lora-model-dir
 *
 * SPDX-License-Identifier: MIT */
#ifndef SD_CPP_FILES_H
#define SD_CPP_FILES_H

#include "worker/engine/engine.h"

/* NULL-terminated arguments, growing. */
struct args {
	const char *items[64];
	size_t n;
	char *own[64]; /* those that sd_args_printf() made */
	size_t n_own;
};
void sd_args_add(struct args *a, const char *s); /* borrowed */
void sd_args_pair(struct args *a, const char *flag, const char *value);
void sd_args_printf(struct args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sd_args_fini(struct args *a);

/* Roles are known, one model, no flag twice, and not too many. */
int sd_files_check(const struct source *s, struct err *e) MUST_CHECK;
void sd_files_flags(const struct engine_job *job, struct args *a);
/* Of the model's defaults: what holds for every job of a server. old_zero_flag: the program has
 * --qwen-image-zero-cond-t; newer ones take it as a model argument. */
struct plan;
void sd_plan_flags(const struct plan *p, bool old_zero_flag, struct args *a);
size_t sd_files_loras(const struct source *s); /* how many */
/* What they are called in a folder of links: a name is made of the place and the extension, so that
 * two jobs with the same LoRA share the link. *n of them, the caller's. */
char **sd_files_lora_names(const struct engine_job *job, size_t *n);
int sd_files_link_loras(const struct engine_job *job, char *const *names, const char *dir,
			struct err *e) MUST_CHECK;
void sd_files_names_free(char **names, size_t n);

#endif
