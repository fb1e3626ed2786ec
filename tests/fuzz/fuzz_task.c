/* fuzz_task.c - tasks and model sources as a studio's front door gets them.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "lib/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_task(json_t *json)
{
	struct task *t = NULL;
	struct err e = ERR_INIT;
	if (task_decode(json, &t, &e))
		return;
	if (!task_prompt(t))
		__builtin_trap();
	(void)task_validate(t, &e);
	task_free(t);
}

static void try_source(json_t *json)
{
	struct source *s = NULL;
	struct err e = ERR_INIT;
	if (source_decode(json, &s, &e))
		return;
	source_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	json_t *json = json_parse((const char *)data, size, &e);
	if (!json)
		return 0;
	try_task(json);
	try_source(json);
	json_decref(json);
	return 0;
}
