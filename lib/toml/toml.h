/* toml.h - reading TOML: the text as a flat list of values with their places, so that a program can
 * change one value and leave every other byte alone. toml++ (C++) is hidden behind it; nothing but
 * toml.cpp is C++. SPDX-License-Identifier: MIT */
#ifndef TOML_TOML_H
#define TOML_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type {
	TOML_STRING,
	TOML_BOOL,
	TOML_INT,
	TOML_FLOAT,
	TOML_TIME, /* date, time or both; string holds it */
	TOML_ARRAY,
	TOML_TABLE,
};

struct toml_item {
	char *key;	 /* "a", and below it "a.b", "a[0]", … */
	bool top;	 /* a key of the root table; only then are the places below set */
	bool has_tables; /* the value is a table or an array with tables in it */
	enum toml_type type;
	char *string; /* UTF-8, without '\0' inside; NULL when not a string (or when it has one) */
	bool boolean;
	int64_t integer;
	double number;
	unsigned line;			    /* of the value, from 1 */
	size_t key_at, value_at, value_end; /* byte offsets into the text */
};

struct toml_doc {
	struct toml_item *items;
	size_t n;
};

/* 0, -EINVAL with the place of the first error, or -ENOMEM. What is wrong is not told: it could
 * quote a secret. */
int toml_parse(const char *text, size_t len, struct toml_doc *out, unsigned *line, unsigned *column)
    __attribute__((warn_unused_result));
void toml_fini(struct toml_doc *d);
/* The root table's value of that key, NULL when there is none. */
const struct toml_item *toml_find(const struct toml_doc *d, const char *key);

#ifdef __cplusplus
}
#endif

#endif
