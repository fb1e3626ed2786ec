/* fields.h - reading JSON objects of a peer by a table: one row a field. Private to lib/wire.
 * A field that is null counts as absent; fields without a row are ignored.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_FIELDS_H
#define WIRE_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum field_type {
	FIELD_STRING, /* char *: a copy; what was there before is freed */
	FIELD_SECRET, /* struct secret */
	FIELD_BOOL,   /* bool */
	FIELD_NUMBER, /* double, finite */
	FIELD_INT,    /* int64_t; a real is taken when it is whole */
	FIELD_U64,    /* uint64_t; see fields_u64() */
	FIELD_OBJECT, /* json_t *: a new reference */
	FIELD_JSON,   /* json_t *: of any type */
};

struct field {
	const char *name;
	enum field_type type;
	bool required;
	size_t offset;	 /* of the value in the struct that is filled */
	size_t has;	 /* of a bool that tells it was there; 0: none */
	double min, max; /* numbers: range; strings: max is the longest in bytes */
};

/* Rows for the usual cases; m is the member of struct s, the last argument the range or cap. */
#define FIELD_TEXT(s, m, name, need, cap)                                                          \
	{                                                                                          \
		(name), FIELD_STRING, (need), offsetof(struct s, m), 0, 0, (cap)                   \
	}
#define FIELD_FLAG(s, m, name, need)                                                               \
	{                                                                                          \
		(name), FIELD_BOOL, (need), offsetof(struct s, m), 0, 0, 0                         \
	}
#define FIELD_REAL(s, m, name, need, lo, hi)                                                       \
	{                                                                                          \
		(name), FIELD_NUMBER, (need), offsetof(struct s, m), 0, (lo), (hi)                 \
	}
#define FIELD_WHOLE(s, m, name, need, lo, hi)                                                      \
	{                                                                                          \
		(name), FIELD_INT, (need), offsetof(struct s, m), 0, (lo), (hi)                    \
	}
#define FIELD_TREE(s, m, name, type, need)                                                         \
	{                                                                                          \
		(name), (type), (need), offsetof(struct s, m), 0, 0, 0                             \
	}

#define FIELD_ID_MAX	 256 /* ids, names, codes */
#define FIELD_URL_MAX	 4096
#define FIELD_TEXT_MAX	 (1u << 20) /* prompts and other long texts */
#define FIELD_NUMBER_MAX 1e15	    /* any number of a peer: casts stay defined */

/* Fills the struct at `out`. -EPROTO names `where.field`. What was filled before an error stays the
 * caller's. */
int fields_read(json_t *json, const char *where, const struct field *rows, size_t n, void *out,
		struct err *e) MUST_CHECK;
/* A string array; absent or null gives none. -EPROTO over max_n items, or items over max_len bytes.
 */
int fields_strings(json_t *json, const char *where, const char *name, size_t max_n, size_t max_len,
		   char ***items, size_t *n, struct err *e) MUST_CHECK;
void fields_strings_free(char **items, size_t n);
/* An array, NULL when absent or null (or missing but needed: -EPROTO). Borrowed. */
int fields_array(json_t *json, const char *where, const char *name, bool required, size_t max_n,
		 json_t **out, struct err *e) MUST_CHECK;

/* A JSON string of any text: bytes that are no UTF-8 become U+FFFD. New reference; NULL gives JSON
 * null. */
json_t *json_text(const char *s);
/* Sets a key to a text, leaving it out when s is NULL. */
void json_set_text(json_t *object, const char *key, const char *s);
/* Compact text of an object; drops the reference. free() it. */
char *json_finish(json_t *json);

#endif
