/* task_build.h - the task of a job from the options of `studiod submit`.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_TASK_BUILD_H
#define CLI_TASK_BUILD_H

#include <jansson.h>

#include "lib/base/err.h"

/* One option of submit that becomes a field of the task. */
enum task_value { TASK_TEXT, TASK_NUMBER, TASK_INTEGER };
struct task_option {
	const char *name;  /* "--width" */
	const char *field; /* "width" */
	enum task_value type;
	unsigned kinds; /* that have it: KIND_BIT() */
};
extern const struct task_option task_options[];
#define TASK_OPTIONS 20
extern const size_t task_option_count;

/* task: JSON text or @FILE (NULL: none) that the options are put into; values[i] belongs to
 * task_options[i], NULL where not given. kind: of the job, "" when nobody knows. --prompt becomes
 * the message of an LLM, the text of a TTS job. NULL with e. */
json_t *task_build(const char *kind, const char *task, const char *const *values,
		   struct err *e) MUST_CHECK;
/* JSON text, or @FILE with it. NULL with e. */
json_t *json_argument(const char *name, const char *text, struct err *e) MUST_CHECK;

#endif
