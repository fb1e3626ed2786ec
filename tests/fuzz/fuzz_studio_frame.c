/* fuzz_studio_frame.c - whatever a studio may send to a worker; what decodes is digested as the
 * worker does. SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "lib/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct studio_frame *f = NULL;
	struct err e = ERR_INIT;
	if (studio_frame_decode((const char *)data, size, &f, &e)) {
		if (f || !e.code || !e.text[0])
			__builtin_trap();
		return 0;
	}
	if (f->claim) {
		char hex[65];
		task_digest(f->claim->task->raw, f->claim->source->raw, hex);
		(void)task_validate(f->claim->task, &e);
	}
	studio_frame_free(f);
	return 0;
}
