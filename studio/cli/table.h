/* table.h - rows of text in aligned columns, as wide as they need to be and the terminal allows.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS 8

struct table {
	const char *const *heads; /* NULL-terminated, at most TABLE_COLUMNS */
	char **cells;
	size_t columns, rows, cap;
};
void table_init(struct table *t, const char *const *heads);
void table_row(struct table *t,
	       const char *const *cells); /* as many as heads; NULL shows as "-". Copied. */
void table_print(const struct table *t);
void table_fini(struct table *t);

/* Texts come from workers: no control characters reach the terminal. "-" for none; free() it. */
char *clean_text(const char *text);
/* Bytes that the first `chars` characters take. */
size_t bytes_of(const char *s, size_t chars);
/* Columns of a terminal; 80 when it does not say. */
size_t terminal_width(int fd);
/* An id as a table shows it: on a terminal the first characters, which commands accept too. */
const char *id_shown(const char *id, char out[16]);

/* "" when it is not there. */
const char *text_of(const json_t *o, const char *key);
/* Time since an RFC 3339 text, for people: "5 s", "3 min", "2 h", "4 d"; "-" when there is none. */
void age_of(const json_t *o, const char *key, char out[32]);

#endif
