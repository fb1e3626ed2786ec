/* plan.c - see plan.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/whisper-cpp/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/whisper-cpp/language.h"

/* whisper works in windows of 30 s. How long one takes is a guess on the generous side, by the size
 * of the model: 1 min for tiny (75 MB), 20 min for large (3 GB), with decoding again at other
 * temperatures in it, and a machine that has other things to do. */
#define WINDOW_S       30.0
#define WINDOW_MS      30000.0
#define WINDOW_MS_A_MB 400.0
#define PROGRESS_STEP  0.05 /* whisper-server tells every 5 % */

static bool is_vad(const char *filename)
{
	return strcasestr(filename, "silero") || strcasestr(filename, "vad");
}

/* ggml-base.en.bin, ggml-small.en-q5_1.bin */
static bool is_english_only(const char *filename)
{
	const char *at = strstr(filename, ".en");
	return at && (at[3] == '.' || at[3] == '-' || at[3] == '_');
}

static int choose_files(struct plan *p, const struct source *s, struct err *e)
{
	p->model = p->vad_model = SIZE_MAX;
	for (size_t i = 0; i < s->n_files; i++) {
		const struct source_file *f = &s->files[i];
		size_t *slot = is_vad(f->filename) ? &p->vad_model : &p->model;
		if (strcmp(f->role, "model") != 0)
			return err_set(e, EINVAL,
				       "whisper-cpp takes files of role 'model' only, not '%.32s' "
				       "(%.100s); correct the model's files",
				       f->role, f->filename);
		if (*slot != SIZE_MAX)
			return err_set(e, EINVAL,
				       "two files could be the %smodel: '%.100s' and '%.100s'; "
				       "leave one in the model's files",
				       slot == &p->model ? "" : "VAD ", s->files[*slot].filename,
				       f->filename);
		*slot = i;
	}
	if (p->model == SIZE_MAX)
		return err_set(e, EINVAL,
			       "the model has no file of role 'model' (for example ggml-base.bin)");
	p->english_only = is_english_only(s->files[p->model].filename);
	return 0;
}

static int choose_language(struct plan *p, const struct task_stt *t, struct err *e)
{
	p->language = language_code(t->language);
	if (!p->language)
		return err_set(e, EINVAL,
			       "whisper does not know the language '%.32s'; give a code such as "
			       "'de', a name such as 'german', or 'auto'",
			       t->language);
	bool english = strcmp(p->language, "en") == 0 || strcmp(p->language, "auto") == 0;
	if (p->english_only && !english)
		return err_set(e, EINVAL,
			       "the model understands English only, not '%s'; use one without "
			       "\".en\" in its name",
			       p->language);
	return 0;
}

int plan_make(struct plan *p, const struct task_stt *t, const struct source *s, struct err *e)
{
	*p = (struct plan){
	    .translate = t->translate,
	    .vad = t->has_vad && t->vad,
	    .words = t->timestamps && strcmp(t->timestamps, "word") == 0,
	};
	if (choose_files(p, s, e) < 0 || choose_language(p, t, e) < 0)
		return -e->code;
	if (t->prompt && strlen(t->prompt) > PLAN_MAX_PROMPT)
		return err_set(e, EINVAL,
			       "the prompt has %zu bytes; whisper reads about 224 tokens of one, "
			       "so at most %d bytes are taken",
			       strlen(t->prompt), PLAN_MAX_PROMPT);
	if (p->vad && p->vad_model == SIZE_MAX)
		return err_set(e, EINVAL,
			       "voice activity detection needs a model of its own: add a file of "
			       "role 'model' such as ggml-silero-v5.1.2.bin to the model's files, "
			       "or ask without vad");
	return 0;
}

struct patience plan_patience(uint64_t model_bytes, double seconds)
{
	double window = WINDOW_MS + WINDOW_MS_A_MB * (double)model_bytes / 1e6;
	/* One more to find the language, and one for a cold start. */
	double windows = ceil(seconds / WINDOW_S);
	double step = ceil(seconds * PROGRESS_STEP / WINDOW_S);
	return (struct patience){
	    .silence_ms = (uint64_t)(window * (step + 1)),
	    .total_ms = (uint64_t)(window * (windows + 2)),
	};
}

double plan_progress(const char *line)
{
	static const char words[] = "progress = ";
	const char *at = strstr(line, words);
	char *end;
	if (!at)
		return -1;
	long percent = strtol(at + sizeof words - 1, &end, 10);
	if (*end != '%' || percent < 0)
		return -1;
	return percent > 100 ? 1.0 : (double)percent / 100;
}
