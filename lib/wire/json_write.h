/* json_write.h - JSON values to text: as jansson's compact dump does it, several times faster.
 * It costs more to write a job's frames and log lines than to read them; see bench/RESULTS.md.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_JSON_WRITE_H
#define WIRE_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/buf.h"

/* Appends the value; false when the buffer is full, which then holds a part of it. sorted: keys in
 * byte order, so that equal values give equal text. */
bool json_add(struct buf *b, const json_t *json, bool sorted) MUST_CHECK;
/* Appends a quoted string; what is no UTF-8 becomes U+FFFD. */
bool json_add_string(struct buf *b, const char *s) MUST_CHECK;
/* Appends `"key":"text"` and a comma before it unless an object has just begun; nothing for NULL.
 */
bool json_add_field(struct buf *b, const char *key, const char *s) MUST_CHECK;
/* The value as text; free() it. NULL when it would be larger than 256 MiB. */
char *json_write(const json_t *json, bool sorted) MUST_CHECK;

#endif
