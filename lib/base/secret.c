/* secret.c - see secret.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/secret.h"

#include <string.h>

#include "lib/base/mem.h"

void secret_set(struct secret *s, const char *text)
{
	char *copy = xstrdup_opt(text);
	secret_clear(s);
	s->text_ = copy;
}

void secret_copy(struct secret *to, const struct secret *from)
{
	secret_set(to, from->text_);
}

void secret_clear(struct secret *s)
{
	if (s->text_)
		explicit_bzero(s->text_, strlen(s->text_));
	free(s->text_);
	s->text_ = NULL;
}

const char *secret_reveal(const struct secret *s)
{
	return s->text_ ? s->text_ : "";
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	if (!secret_is_set(a) || !secret_is_set(b))
		return false;
	size_t n = strlen(a->text_), m = strlen(b->text_);
	unsigned char diff = n != m;
	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(a->text_[i] ^ b->text_[i < m ? i : 0]);
	return diff == 0;
}
