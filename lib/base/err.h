/* err.h - errors that carry their cause.
 * A fallible function returns 0 or a negative errno and fills a struct err where it happened;
 * each caller that passes it on may put its own context in front.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* `code` is a positive errno value, 0 while no error is set. `text` is for people: it names what
 * was wrong and what to do, never a secret. Long texts are cut with "..."; it is always valid UTF-8
 * without control characters. */
struct err {
	int code;
	char text[512];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		0, ""                                                                              \
	}

/* All of these accept e == NULL, and return -code so that `return err_set(...)` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As err_set, with ": <strerror(code)>" behind the text. */
int err_sys(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "fmt: " in front of the text that is there; returns -e->code (-EIO when e is NULL). */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_clear(struct err *e);

#endif
