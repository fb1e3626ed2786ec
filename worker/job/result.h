/* result.h - a finished result and what must be known to deliver it.
 * SPDX-License-Identifier: MIT */
#ifndef JOB_RESULT_H
#define JOB_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Bytes have file, ext, size and sha256; JSON has frame. Strings are owned. */
struct result {
	char *job_id, *digest; /* of task and model source: "the same task" */
	char *kind, *model, *engine, *prompt;
	int64_t created_ms;
	char *dir, *file, *ext, *sha256; /* dir: its folder in the outbox */
	uint64_t size;
	bool parked;   /* not offered by HTTP any more */
	bool verified; /* sha256 was seen to match since the program started */
	char *frame;   /* the completeJson frame, ready to send */
	uint64_t seq;  /* number of its journal record */
};

struct result *result_new(void);
void result_free(struct result *r); /* NULL allowed */
static inline bool result_is_bytes(const struct result *r)
{
	return r->frame == NULL;
}
/* The manifest: all but the frame and what follows from where it lies. free() it. */
char *result_encode(const struct result *r);
int result_decode(const char *text, size_t len, struct result **out, struct err *e) MUST_CHECK;
/* Letters and digits, 1 to 8 of them: fit to end a file name. */
bool result_ext_valid(const char *ext);

#endif
