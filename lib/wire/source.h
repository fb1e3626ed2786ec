/* source.h - where a model comes from and which engine runs it: an offer's `modelSource`.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_SOURCE_H
#define WIRE_SOURCE_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"

struct source_file {
	char *role, *url, *filename,
	    *sha256;	       /* sha256: NULL when not given, else 64 lower-case hex digits */
	uint64_t approx_bytes; /* 0: not given */
};
struct source {
	char *engine;
	struct source_file *files;
	size_t n_files;
	json_t *cli_defaults; /* object, {} when not given; owned */
	json_t *raw;
};

/* -EPROTO with a message naming the field. Caps: 64 files, URLs 4 KiB, file names 255 bytes, plain
 * (no slash, no leading dot, not empty). */
int source_decode(json_t *json, struct source **out, struct err *e) MUST_CHECK;
void source_free(struct source *s);

#endif
