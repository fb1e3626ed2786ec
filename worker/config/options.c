/* options.c - one row a key: the table that everything about an option comes from.
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

#define AT(field) offsetof(struct options, field)
#define TEXT(key, value, help)                                                                     \
	{                                                                                          \
#key, OPTION_STRING, value, help, AT(key), 0, 0                                    \
	}
#define FLAG(key, value, help)                                                                     \
	{                                                                                          \
#key, OPTION_BOOL, value, help, AT(key), 0, 0                                      \
	}
#define COUNT(key, value, min, max, help)                                                          \
	{                                                                                          \
#key, OPTION_INT, value, help, AT(key), min, max                                   \
	}
#define NUMBER(key, value, min, max, help)                                                         \
	{                                                                                          \
#key, OPTION_NUMBER, value, help, AT(key), min, max                                \
	}

/* Keys, defaults and meaning are the production worker's, so that one file serves both. */
const struct option option_table[] = {
    /* clang-format off */
	TEXT(api_base_url, "\"https://studio.minis.gg/\"", "address of the studio"),
	NUMBER(vram_threshold_gb, "12.0", 0, 100000, "GPU memory lent to one job at most, in GB"),
	FLAG(auto_start, "true", "start with the machine"),
	FLAG(start_minimised, "true", "start without a window"),
	FLAG(only_when_idle, "false", "take jobs only while nobody uses the machine"),
	FLAG(auto_update_enabled, "true", "install new versions while no job runs"),
	COUNT(auto_update_interval_secs, "1800", 1, 31536000, "seconds between two looks for one"),
	TEXT(auto_update_feed, "\"\"", "where new versions are announced"),
	FLAG(auto_update_prerelease, "false", "take pre-releases too"),
	TEXT(models_root, "\"~/models\"", "where model files are kept"),
	COUNT(ws_reconnect_attempts, "5", 0, 1000000, "failed attempts in a row before giving up; 0: never"),
	COUNT(local_api_port, "4787", 0, 65535, "port of the local API"),
    /* clang-format on */
};
const size_t option_count = ARRAY_LEN(option_table);

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
	}
	return false;
}

static int check(const struct option *opt, const struct toml_item *it, const char *name,
		 struct err *e)
{
	if (!type_fits(opt->type, it))
		return err_set(e, EINVAL, "%s:%u: %s must be %s", name, it->line, opt->key,
			       option_type_name(opt->type));
	bool number = opt->type == OPTION_INT || opt->type == OPTION_NUMBER;
	if (number && (!isfinite(it->number) || it->number < opt->min || it->number > opt->max))
		return err_set(e, ERANGE, "%s:%u: %s must be between %.0f and %.0f", name, it->line,
			       opt->key, opt->min, opt->max);
	return 0;
}

static void set_text(char **dst, const struct option *opt, const char *value)
{
	free(*dst);
	*dst = opt->offset == AT(models_root) ? fs_expand_home(value) : xstrdup(value);
}

static void assign(const struct option *opt, struct options *o, const struct toml_item *it)
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
	}
}

/* The defaults, straight from the table: no TOML is read for a missing file. */
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
		assign(opt, o, &it);
	}
}

void options_fini(struct options *o)
{
	free(o->api_base_url);
	free(o->auto_update_feed);
	free(o->models_root);
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
		int r = check(opt, it, name, e);
		if (r < 0)
			return r;
		assign(opt, o, it);
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
	}
	return wanted(opt, e);
}
