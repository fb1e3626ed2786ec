/* voice.h - a piper voice: the pair of files it is, and what its description says.
 * SPDX-License-Identifier: MIT */
#ifndef PIPER_VOICE_H
#define PIPER_VOICE_H

#include "lib/wire/source.h"
#include "lib/wire/task.h"

struct voice_files { /* indexes into the source's files */
	size_t onnx, json;
};
/* One file of role `model` named X.onnx and one named X.onnx.json; -EINVAL says what is missing. */
int voice_files(const struct source *s, struct voice_files *out, struct err *e) MUST_CHECK;

struct voice {
	int speaker;	     /* negative: the voice has one, or its own first is wanted */
	double length_scale; /* negative: as the voice has it */
	double sample_rate;
};
/* What of the task goes to the voice that `json` describes (X.onnx.json, some KB). -EINVAL: a
 * speaker it has not, another language than it speaks, a description that is none. The voice of a
 * task is "default", the name of the voice, the name of one of its speakers, or a speaker's number.
 */
int voice_plan(struct voice *v, const struct task_tts *t, const char *name, const json_t *json,
	       struct err *e) MUST_CHECK;

#endif
