/* mem.h - small allocations that cannot fail, and cleanup of locals.
 * Sizes that come from a peer never go through these before they were capped.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdarg.h>
#include <stdlib.h>

#include "lib/base/err.h"

/* Abort the program when memory runs out; the result is the caller's, to be freed with free(). */
void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((malloc, returns_nonnull));
/* NULL stays NULL. */
char *xstrdup_opt(const char *s);
/* Frees *dst and puts a copy of s (NULL allowed) there. */
void str_replace(char **dst, const char *s);

/* auto_free char *s = ...; is freed when it goes out of scope; steal(&s) hands it out instead. */
static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}
#define auto_free __attribute__((cleanup(cleanup_free)))
#define steal(pp)                                                                                  \
	__extension__({                                                                            \
		__typeof__(*(pp)) stolen_ = *(pp);                                                 \
		*(pp) = NULL;                                                                      \
		stolen_;                                                                           \
	})

#define ARRAY_LEN(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
