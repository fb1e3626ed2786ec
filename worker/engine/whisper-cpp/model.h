/* model.h - what the head of a model file says, read before a server is started with it:
 * whisper-server tries for minutes to load the model of another program. SPDX-License-Identifier:
 * MIT */
#ifndef WHISPER_CPP_MODEL_H
#define WHISPER_CPP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct model {
	bool english_only;
	bool cantonese; /* the language that large-v3 brought */
	uint64_t bytes;
};
/* -EINVAL when it is no whisper model in GGML form. Reads 12 bytes. */
int model_read(struct model *m, const char *path, struct err *e) MUST_CHECK;

#endif
