/* lines.h - cuts a stream of bytes into lines. Private to lib/loop.
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_LINES_H
#define LOOP_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_MAX 4096 /* bytes of a line; the rest of a longer one is dropped */

struct lines {
	char text[LINES_MAX + 1];
	size_t len;
	bool after_cr; /* the \n of a \r\n is not a line of its own */
	bool partial;  /* bytes since the last end of a line */
};

typedef void lines_fn(void *arg, const char *line);

/* Calls fn for every line that the bytes complete. A NUL byte becomes '?'. */
void lines_feed(struct lines *l, const char *data, size_t len, lines_fn *fn, void *arg);
/* At the end of the stream: what is left without an end of line. */
void lines_flush(struct lines *l, lines_fn *fn, void *arg);

#endif
