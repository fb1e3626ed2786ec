/* fuzz_worker_frame.c - whatever a worker may send to a studio; a result that decodes survives its
 * way back. SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct worker_frame *f)
{
	char *text = frame_complete_json(f->job_id, f->result, f->text);
	struct worker_frame *again = NULL;
	struct err e = ERR_INIT;
	/* Longer escapes may push it over the cap; anything else must decode to the same. */
	if (strlen(text) <= FRAME_MAX_BYTES &&
	    (worker_frame_decode(text, strlen(text), &again, &e) ||
	     !json_equal(again->result, f->result)))
		__builtin_trap();
	worker_frame_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	if (worker_frame_decode((const char *)data, size, &f, &e)) {
		if (f || !e.code || !e.text[0])
			__builtin_trap();
		return 0;
	}
	if (f->type == WF_COMPLETE_JSON)
		round_trip(f);
	worker_frame_free(f);
	return 0;
}
