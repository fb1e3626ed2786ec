/* lines.h - what a server's output says: which line is its error, and how many lines are passed on.
 * SPDX-License-Identifier: MIT */
#ifndef HOST_LINES_H
#define HOST_LINES_H

#include <stdbool.h>
#include <stdint.h>

#define LINES_WINDOW_MS 100
#define LINES_WINDOW	500 /* lines passed on in a window; a flood costs no more than that */

/* Zeroed at first. */
struct lines_seen {
	uint64_t window_ms;
	unsigned in_window;
	char *error;
	int rank;
	char *first; /* on stderr */
};

/* False: there were too many just now, this one goes no further. */
bool lines_take(struct lines_seen *l, uint64_t now_ms, int fd, const char *line);
/* The first line that reads like an error: on stderr before stdout, "[ERROR]" and "error:" before
 * words such as "failed"; else "". Never one that itself says that it only informs. */
const char *lines_error(const struct lines_seen *l);
/* Of a program that ended before it did anything: that line, else the first on stderr. */
const char *lines_last_words(const struct lines_seen *l);
void lines_forget(struct lines_seen *l); /* the error: another job begins. Also at the end. */

#endif
