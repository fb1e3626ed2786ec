/* plan.h - what of a task and its model goes to whisper-server, checked; and how long it may take.
 * SPDX-License-Identifier: MIT */
#ifndef WHISPER_CPP_PLAN_H
#define WHISPER_CPP_PLAN_H

#include "worker/engine/engine.h"

/* whisper looks at the last 224 tokens of a prompt; in any script that is less than this. */
#define PLAN_MAX_PROMPT 4096

struct plan {
	const char *language; /* a code, or "auto" */
	bool translate, vad, words;
	size_t model, vad_model; /* indexes into the source's files; vad_model SIZE_MAX: none */
	bool english_only;	 /* by the name of the model */
};

/* Files: one of role `model` is the model; another whose name has "silero" or "vad" in it is the
 * model of the voice activity detection. -EINVAL: files, language, prompt, a VAD without its model,
 * another language than English with an English-only model. */
int plan_make(struct plan *p, const struct task_stt *t, const struct source *s,
	      struct err *e) MUST_CHECK;

/* By the size of the model and the length of the recording. */
struct patience {
	uint64_t silence_ms; /* from one progress line to the next */
	uint64_t total_ms;
};
struct patience plan_patience(uint64_t model_bytes, double seconds);

/* N of a line "whisper_print_progress_callback: progress =  N%", as 0..1; negative: another line.
 * With short recordings whisper says more than 100 %. */
double plan_progress(const char *line);

#endif
