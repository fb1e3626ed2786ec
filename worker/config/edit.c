/* edit.c - see edit.h. The parser tells where a value stands, so comments, spacing, quoting and
 * line ends around it stay; afterwards the parser is asked again whether only that key changed.
 * SPDX-License-Identifier: MIT */
#include "worker/config/edit.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/toml/toml.h"

/* A piece of the text [from, to) and what stands there instead. */
struct splice {
	size_t from, to;
	char *with;
};

static int parse(const char *text, size_t len, struct toml_doc *doc, struct err *e)
{
	unsigned line, column;
	int r = toml_parse(text, len, doc, &line, &column);
	if (r == -EINVAL)
		return err_set(e, EINVAL, "line %u: not valid TOML at column %u", line, column);
	return r < 0 ? err_sys(e, -r, "the file can't be read as TOML") : 0;
}

static size_t line_start(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the line's end. */
static size_t line_end(const char *text, size_t len, size_t at)
{
	const char *nl = memchr(text + at, '\n', len - at);
	return nl ? (size_t)(nl - text) + 1 : len;
}

static const char *newline_of(const char *text, size_t len)
{
	const char *nl = memchr(text, '\n', len);
	return nl && nl > text && nl[-1] == '\r' ? "\r\n" : "\n";
}

/* Behind the comment a file may open with: as far as lines go on starting with '#'. */
static size_t behind_header(const char *text, size_t len)
{
	size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	while (at < len && text[at] == '#')
		at = line_end(text, len, at);
	return at;
}

/* Values of the root table that are no tables can only stand in front of the first [table]. */
static size_t insert_place(const char *text, size_t len, const struct toml_doc *doc)
{
	size_t last = 0;
	for (size_t i = 0; i < doc->n; i++) {
		const struct toml_item *it = &doc->items[i];
		if (it->top && !it->has_tables && it->value_end > last)
			last = it->value_end;
	}
	return last ? line_end(text, len, last) : behind_header(text, len);
}

static struct splice insertion(const char *text, size_t len, const struct toml_doc *doc,
			       const char *key, const char *value)
{
	size_t at = insert_place(text, len, doc);
	const char *nl = newline_of(text, len);
	bool open_line = at > 0 && text[at - 1] != '\n' && line_start(text, at) < at;
	if (at == 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		open_line = false;
	return (struct splice){at, at,
			       xasprintf("%s%s = %s%s", open_line ? nl : "", key, value, nl)};
}

static char *apply(const char *text, size_t len, const struct splice *s, size_t *out_len)
{
	size_t n = strlen(s->with);
	*out_len = s->from + n + (len - s->to);
	char *out = xmalloc(*out_len + 1);
	memcpy(out, text, s->from);
	memcpy(out + s->from, s->with, n);
	memcpy(out + s->from + n, text + s->to, len - s->to);
	out[*out_len] = '\0';
	return out;
}

/* ---- was that all? ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* nan is the same as nan here. */
static bool same_number(double a, double b)
{
	uint64_t x, y;
	memcpy(&x, &a, sizeof x);
	memcpy(&y, &b, sizeof y);
	return x == y;
}

static bool same_item(const struct toml_item *a, const struct toml_item *b)
{
	return strcmp(a->key, b->key) == 0 && a->top == b->top && a->type == b->type &&
	       a->boolean == b->boolean && a->integer == b->integer &&
	       same_number(a->number, b->number) && same_text(a->string, b->string);
}

/* Index of the first item from i on that does not belong to the key (its value, and what is inside
 * it). */
static size_t skip_key(const struct toml_doc *d, size_t i, const char *key)
{
	while (i < d->n && d->items[i].top && strcmp(d->items[i].key, key) == 0) {
		for (i++; i < d->n && !d->items[i].top;)
			i++;
	}
	return i;
}

static bool same_besides(const struct toml_doc *a, const struct toml_doc *b, const char *key)
{
	size_t i = 0, j = 0;
	for (;;) {
		i = skip_key(a, i, key);
		j = skip_key(b, j, key);
		if (i == a->n || j == b->n)
			return i == a->n && j == b->n;
		if (!same_item(&a->items[i++], &b->items[j++]))
			return false;
	}
}

static bool has_value(const struct toml_doc *d, const char *key, const char *value)
{
	const struct toml_item *it = toml_find(d, key);
	if (!value || !it)
		return !value && !it;
	auto_free char *line = xasprintf("%s = %s", key, value);
	struct toml_doc want;
	unsigned row, column;
	if (toml_parse(line, strlen(line), &want, &row, &column) < 0)
		return false;
	size_t n = skip_key(d, (size_t)(it - d->items), key) - (size_t)(it - d->items);
	bool same = want.n == n; /* an array comes with its members */
	for (size_t i = 0; i < n && same; i++)
		same = same_item(&want.items[i], &it[i]);
	toml_fini(&want);
	return same;
}

static int verify(const struct toml_doc *before, const char *text, size_t len, const char *key,
		  const char *value, struct err *e)
{
	struct toml_doc after;
	unsigned line, column;
	bool ok = toml_parse(text, len, &after, &line, &column) == 0;
	if (ok) {
		ok = same_besides(before, &after, key) && has_value(&after, key, value);
		toml_fini(&after);
	}
	return ok ? 0
		  : err_set(e, EINVAL, "%s can't be changed safely, please edit it by hand", key);
}

static int splice(const char *text, size_t len, const struct toml_doc *doc, const struct splice *s,
		  const char *key, const char *value, char **out, size_t *out_len, struct err *e)
{
	char *edited = apply(text, len, s, out_len);
	int r = verify(doc, edited, *out_len, key, value, e);
	if (r < 0)
		free(edited);
	else
		*out = edited;
	return r;
}

int edit_set(const char *text, size_t len, const char *key, const char *value, char **out,
	     size_t *out_len, struct err *e)
{
	struct toml_doc doc;
	int r = parse(text, len, &doc, e);
	if (r < 0)
		return r;
	const struct toml_item *it = toml_find(&doc, key);
	struct splice s = it ? (struct splice){it->value_at, it->value_end, xstrdup(value)}
			     : insertion(text, len, &doc, key, value);
	r = splice(text, len, &doc, &s, key, value, out, out_len, e);
	free(s.with);
	toml_fini(&doc);
	return r;
}

int edit_remove(const char *text, size_t len, const char *key, char **out, size_t *out_len,
		struct err *e)
{
	struct toml_doc doc;
	int r = parse(text, len, &doc, e);
	if (r < 0)
		return r;
	const struct toml_item *it = toml_find(&doc, key);
	struct splice s = {0, 0, xstrdup("")};
	if (it) {
		s.from = line_start(text, it->key_at);
		if (s.from == 0 && it->key_at >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
			s.from = 3;
		s.to = line_end(text, len, it->value_end);
	}
	r = splice(text, len, &doc, &s, key, NULL, out, out_len, e);
	free(s.with);
	toml_fini(&doc);
	return r;
}
