/* buf.h - a growable byte buffer with a hard cap.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

/* data[len] is always '\0' once something was added, so text can be used as a string. */
struct buf {
	char *data;
	size_t len, cap, max;
};

/* max: bytes it may ever hold; adding more fails and changes nothing. */
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory */
bool buf_add(struct buf *b, const void *data, size_t len) MUST_CHECK;
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Hands out the memory ('\0'-terminated, never NULL); the buffer is empty after. free() it. */
char *buf_steal(struct buf *b);

#endif
