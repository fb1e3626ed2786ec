/* utf8.h - text that came from anywhere, made fit for people and for JSON.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the valid UTF-8 sequence (RFC 3629: no overlong form, no surrogate) at s, which has n
 * bytes left; 0 when there is none. */
size_t utf8_sequence(const char *s, size_t n);
/* In place: the text has at most max bytes then; cut where a character starts. NULL is fine. */
void utf8_cut(char *s, size_t max);
bool utf8_valid(const char *s, size_t n);
/* In place: bytes that are not UTF-8 become '?', control characters (C0, DEL, C1) spaces. The
 * length stays, so nothing a peer says can forge a log line or drive a terminal. */
void utf8_clean(char *s);

#endif
