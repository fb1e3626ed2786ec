/* frame_parts.h - pieces shared by the codecs of both directions. Private to lib/wire.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_FRAME_PARTS_H
#define WIRE_FRAME_PARTS_H

#include "lib/wire/frame.h"

bool stage_parse(const char *s, enum stage *out);
/* The string array "features" of an object; unknown names are skipped. */
int features_decode(json_t *json, const char *where, unsigned *bits, struct err *e) MUST_CHECK;
/* A new object {"type": type}. */
json_t *frame_begin(const char *type);
/* New reference to an object with a "type" (borrowed from it), NULL with e filled. */
json_t *frame_parse(const char *text, size_t len, const char **type, struct err *e) MUST_CHECK;

#endif
