/* options.c - the text of config.toml to options and back, by the table in option_table.c.
 * SPDX-License-Identifier: MIT */
#include "worker/config/options.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/toml/toml.h"
#include "worker/config/names.h"

/* What the production worker keeps in its file besides options. */
static const char *const internal_keys[] = {
    "worker_id",	   "auth_token",      "install_id", "registration_request_id",
    "registration_secret", "local_api_token",
};

static void *field(const struct option *opt, const struct options *o)
{
	return (char *)(uintptr_t)o + opt->offset;
}

const struct option *option_find(const char *key)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(option_table[i].key, key) == 0)
			return &option_table[i];
	return NULL;
}

const char *option_type_name(enum option_type t)
{
	switch (t) {
	case OPTION_STRING:
		return "a string in quotes";
	case OPTION_BOOL:
		return "true or false";
	case OPTION_INT:
		return "a whole number";
	case OPTION_NUMBER:
		return "a number";
	case OPTION_LIST:
		return "a list of strings in quotes, [\"like\", \"this\"]";
	}
	return "";
}

/* ---- reading ---- */

static bool type_fits(enum option_type want, const struct toml_item *it)
{
	switch (want) {
	case OPTION_STRING:
		return it->type == TOML_STRING && it->string;
	case OPTION_BOOL:
		return it->type == TOML_BOOL;
	case OPTION_INT:
		return it->type == TOML_INT;
	case OPTION_NUMBER:
		return it->type == TOML_INT || it->type == TOML_FLOAT;
	case OPTION_LIST:
		return it->type == TOML_ARRAY;
	}
	return false;
}

/* The items of an array follow it, down to the next key of the root table. */
static size_t members(const struct toml_item *it, const struct toml_item *end)
{
	size_t n = 0;
	while (it + 1 + n < end && !it[1 + n].top)
		n++;
	return n;
}

static int check_list(const struct option *opt, const struct toml_item *it,
		      const struct toml_item *end, const char *name, struct err *e)
{
	size_t n = members(it, end);
	if (n > NAMES_MAX)
		return err_set(e, ERANGE, "%s:%u: %s may hold %d entries", name, it->line, opt->key,
			       NAMES_MAX);
	for (size_t i = 1; i <= n; i++) {
		if (it[i].type != TOML_STRING || !it[i].string)
			return err_set(e, EINVAL, "%s:%u: %s must be %s", name, it[i].line,
				       opt->key, option_type_name(opt->type));
		if (!name_valid(it[i].string))
			return err_set(e, EINVAL, "%s:%u: %s: an entry must be " NAME_WANTED, name,
				       it[i].line, opt->key);
	}
	return 0;
}

static int check(const struct option *opt, const struct toml_item *it, const struct toml_item *end,
		 const char *name, struct err *e)
{
	if (!type_fits(opt->type, it))
		return err_set(e, EINVAL, "%s:%u: %s must be %s", name, it->line, opt->key,
			       option_type_name(opt->type));
	if (opt->type == OPTION_LIST)
		return check_list(opt, it, end, name, e);
	bool number = opt->type == OPTION_INT || opt->type == OPTION_NUMBER;
	if (number && (!isfinite(it->number) || it->number < opt->min || it->number > opt->max))
		return err_set(e, ERANGE, "%s:%u: %s must be between %.0f and %.0f", name, it->line,
			       opt->key, opt->min, opt->max);
	return 0;
}

static void set_text(char **dst, const struct option *opt, const char *value)
{
	free(*dst);
	*dst = opt->path ? fs_expand_home(value) : xstrdup(value);
}

static void set_list(char ***dst, const struct toml_item *it, const struct toml_item *end)
{
	size_t n = members(it, end);
	names_free(*dst);
	*dst = xcalloc(n + 1, sizeof **dst);
	/* The analyzer does not see that n is 0 for the lone item of options_init(). */
	for (size_t i = 0; i < n; i++)
		(*dst)[i] = xstrdup(it[1 + i].string); /* NOLINT(clang-analyzer-core.*) */
}

static void assign(const struct option *opt, struct options *o, const struct toml_item *it,
		   const struct toml_item *end)
{
	void *p = field(opt, o);
	switch (opt->type) {
	case OPTION_STRING:
		set_text(p, opt, it->string);
		break;
	case OPTION_BOOL:
		*(bool *)p = it->boolean;
		break;
	case OPTION_INT:
		*(int64_t *)p = it->integer;
		break;
	case OPTION_NUMBER:
		*(double *)p = it->number;
		break;
	case OPTION_LIST:
		set_list(p, it, end);
		break;
	}
}

/* The defaults, straight from the table: no TOML is read for a missing file. A list is empty. */
void options_init(struct options *o)
{
	*o = (struct options){0};
	for (size_t i = 0; i < option_count; i++) {
		const struct option *opt = &option_table[i];
		auto_free char *text = NULL;
		struct toml_item it = {.type = TOML_STRING};
		if (opt->type == OPTION_STRING)
			text = xstrndup(opt->fallback + 1, strlen(opt->fallback) - 2);
		it.string = text;
		it.boolean = strcmp(opt->fallback, "true") == 0;
		it.number = strtod(opt->fallback, NULL);
		it.integer = (int64_t)it.number;
		assign(opt, o, &it, &it + 1);
	}
}

void options_fini(struct options *o)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *opt = &option_table[i];
		if (opt->type == OPTION_STRING)
			free(*(char **)field(opt, o));
		else if (opt->type == OPTION_LIST)
			names_free(*(char ***)field(opt, o));
	}
	*o = (struct options){0};
}

static bool internal(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(internal_keys); i++)
		if (strcmp(internal_keys[i], key) == 0)
			return true;
	return false;
}

static int read_doc(struct options *o, const struct toml_doc *doc, const char *name, struct err *e)
{
	for (size_t i = 0; i < doc->n; i++) {
		const struct toml_item *it = &doc->items[i];
		const struct option *opt = it->top ? option_find(it->key) : NULL;
		if (!opt)
			continue;
		const struct toml_item *end = doc->items + doc->n;
		int r = check(opt, it, end, name, e);
		if (r < 0)
			return r;
		assign(opt, o, it, end);
	}
	return 0;
}

static void tell_unknown(const struct toml_doc *doc,
			 void (*unknown)(void *arg, const char *key, unsigned line), void *arg)
{
	for (size_t i = 0; i < doc->n; i++) {
		const struct toml_item *it = &doc->items[i];
		if (it->top && !option_find(it->key) && !internal(it->key))
			unknown(arg, it->key, it->line);
	}
}

int options_read(struct options *out, const char *name, const char *text, size_t len,
		 void (*unknown)(void *arg, const char *key, unsigned line), void *arg,
		 struct err *e)
{
	struct toml_doc doc;
	unsigned line, column;
	int r = toml_parse(text, len, &doc, &line, &column);
	if (r == -EINVAL)
		return err_set(
		    e, EINVAL,
		    "%s:%u: not valid TOML at column %u; every line reads `key = value`, "
		    "with strings in quotes",
		    name, line, column);
	if (r < 0)
		return err_sys(e, -r, "%s", name);
	struct options o;
	options_init(&o);
	r = read_doc(&o, &doc, name, e);
	if (r == 0) {
		if (unknown)
			tell_unknown(&doc, unknown, arg);
		*out = o;
	} else {
		options_fini(&o);
	}
	toml_fini(&doc);
	return r;
}

/* ---- comparing and printing ---- */

static bool field_equal(const struct option *opt, const struct options *a, const struct options *b)
{
	const void *x = field(opt, a), *y = field(opt, b);
	switch (opt->type) {
	case OPTION_STRING:
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	case OPTION_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case OPTION_INT:
		return *(const int64_t *)x == *(const int64_t *)y;
	case OPTION_NUMBER:
		return fabs(*(const double *)x - *(const double *)y) < DBL_EPSILON;
	case OPTION_LIST:
		return names_equal(*(char *const *const *)x, *(char *const *const *)y);
	}
	return false;
}

bool options_equal(const struct options *a, const struct options *b)
{
	for (size_t i = 0; i < option_count; i++)
		if (!field_equal(&option_table[i], a, b))
			return false;
	return true;
}

/* A TOML basic string. */
static char *quote(const char *s)
{
	struct buf b;
	buf_init(&b, 6 * strlen(s) + 3);
	bool ok = buf_add(&b, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			ok = ok && buf_printf(&b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			ok = ok && buf_printf(&b, "\\u%04x", c);
		else
			ok = ok && buf_add(&b, s, 1);
	}
	ok = ok && buf_add(&b, "\"", 1);
	(void)ok; /* the cap above holds for any text */
	return buf_steal(&b);
}

/* The shortest text that reads back as the same number, with a point: TOML floats need one. */
static char *format_number(double v)
{
	char text[64];
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (fabs(strtod(text, NULL) - v) <= 0)
			break;
	}
	return xasprintf("%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static char *format_list(char *const *list)
{
	struct buf b;
	buf_init(&b, NAMES_MAX * (6 * NAME_MAX_LEN + 5) + 3);
	bool ok = buf_add(&b, "[", 1);
	for (size_t i = 0; list[i]; i++) {
		auto_free char *item = quote(list[i]);
		ok = ok && buf_printf(&b, "%s%s", i ? ", " : "", item);
	}
	ok = ok && buf_add(&b, "]", 1);
	(void)ok; /* the cap above holds for any list that was read */
	return buf_steal(&b);
}

char *option_format(const struct option *opt, const struct options *o)
{
	const void *p = field(opt, o);
	switch (opt->type) {
	case OPTION_STRING:
		return quote(*(char *const *)p);
	case OPTION_BOOL:
		return xstrdup(*(const bool *)p ? "true" : "false");
	case OPTION_INT:
		return xasprintf("%" PRId64, *(const int64_t *)p);
	case OPTION_NUMBER:
		return format_number(*(const double *)p);
	case OPTION_LIST:
		return format_list(*(char *const *const *)p);
	}
	return xstrdup("");
}

static int wanted(const struct option *opt, struct err *e)
{
	return err_set(e, EINVAL, "%s must be %s", opt->key, option_type_name(opt->type));
}

static int parse_number(const struct option *opt, const char *text, char **toml, struct err *e)
{
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	if (end == text || *end || !isfinite(v) || errno == ERANGE ||
	    strspn(text, "0123456789.eE+-") != strlen(text))
		return wanted(opt, e);
	if (opt->type == OPTION_INT && fabs(v - floor(v)) > 0)
		return wanted(opt, e);
	if (v < opt->min || v > opt->max)
		return err_set(e, ERANGE, "%s must be between %.0f and %.0f", opt->key, opt->min,
			       opt->max);
	*toml = opt->type == OPTION_INT ? xasprintf("%.0f", v) : format_number(v);
	return 0;
}

static int parse_list(const struct option *opt, const char *text, char **toml, struct err *e)
{
	char **list = NULL;
	int r = names_split(text, &list, e);
	if (r < 0)
		return err_wrap(e, "%s", opt->key);
	*toml = format_list(list);
	names_free(list);
	return 0;
}

int option_parse(const struct option *opt, const char *text, char **toml, struct err *e)
{
	switch (opt->type) {
	case OPTION_STRING:
		*toml = quote(text);
		return 0;
	case OPTION_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return wanted(opt, e);
		*toml = xstrdup(text);
		return 0;
	case OPTION_INT:
	case OPTION_NUMBER:
		return parse_number(opt, text, toml, e);
	case OPTION_LIST:
		return parse_list(opt, text, toml, e);
	}
	return wanted(opt, e);
}
