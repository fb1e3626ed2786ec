/* secret.h - a text that must never reach a log, a command line or a URL.
 * It is a type of its own so that no format string takes it by accident: the only way to its text
 * is secret_reveal(), and the check of the tree lists the files that may call it.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
	char *text_; /* NULL: not set */
};

void secret_set(struct secret *s, const char *text); /* copies; NULL clears */
void secret_copy(struct secret *to, const struct secret *from);
void secret_clear(struct secret *s); /* wipes the memory */
static inline bool secret_is_set(const struct secret *s)
{
	return s->text_ && s->text_[0];
}
/* "" when not set. For the one place that puts it on the wire or on disk. */
const char *secret_reveal(const struct secret *s);
/* Constant time in the length of a; an unset secret equals nothing. */
bool secret_equal(const struct secret *a, const struct secret *b);

#endif
