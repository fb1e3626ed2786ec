/* settings.c - what studiod runs with: defaults, then the config file, then the command line.
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/log_stderr.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/toml/toml.h"
#include "studio/cli/options.h"
#include "studio/cli/settings.h"

#define FILE_MAX ((size_t)1 << 20)
#define AT(m)	 offsetof(struct settings, m)

/* clang-format off */
const struct setting setting_table[] = {
	{"listen",              SETTING_TEXT, "127.0.0.1:8787", 0,  AT(listen), "address and port to listen on"},
	{"data_dir",            SETTING_TEXT, "",               0,  AT(data_dir), "folder of database, results and token"},
	{"log_level",           SETTING_TEXT, "info",           0,  AT(log_level), "debug, info, warn or error, also per room"},
	{"log_format",          SETTING_TEXT, "auto",           0,  AT(log_format), "auto, human or json"},
	{"behind_proxy",        SETTING_BOOL, "false",          0,  AT(behind_proxy), "take the client's address from X-Forwarded-For"},
	{"max_connections",     SETTING_INT,  "0",              0,  AT(max_connections), "0: as many as the system allows"},
	{"max_result_bytes",    SETTING_INT,  "4294967296",     1,  AT(max_result_bytes), "largest result that is taken"},
	{"register_per_minute", SETTING_INT,  "10",             1,  AT(register_per_minute), "requests of workers to join, per address"},
	{"grace_ms",            SETTING_INT,  "60000",          0,  AT(grace_ms), "how long a lost worker that can resume keeps its jobs"},
	{"offer_ms",            SETTING_INT,  "10000",          10, AT(offer_ms), "how long a worker may take to accept an offer"},
	{"idle_ms",             SETTING_INT,  "30000",          10, AT(idle_ms), "how long a worker may be silent"},
	{"hello_ms",            SETTING_INT,  "10000",          10, AT(hello_ms), "how long a new connection may take to say hello"},
};
/* clang-format on */
const size_t setting_count = ARRAY_LEN(setting_table);

static const struct setting *find(const char *key)
{
	for (size_t i = 0; i < setting_count; i++)
		if (strcmp(setting_table[i].key, key) == 0)
			return &setting_table[i];
	return NULL;
}

static void *field(struct settings *s, const struct setting *row)
{
	return (char *)s + row->offset;
}

static int put_int(struct settings *s, const struct setting *row, int64_t v, struct err *e)
{
	if (v < row->min)
		return err_set(e, EINVAL, "%s: must be a whole number, %lld or more", row->key,
			       (long long)row->min);
	*(int64_t *)field(s, row) = v;
	return 0;
}

static void put_text(struct settings *s, const struct setting *row, const char *text)
{
	char **to = field(s, row);

	free(*to);
	*to = row->offset == AT(data_dir) ? fs_expand_home(text) : xstrdup(text);
}

/* An address, not a name, and a port: said here, before a data folder is made. */
static bool is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : "";
	bool six = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
	auto_free char *host = six     ? xstrndup(text + 1, (size_t)(colon - text) - 2)
			       : colon ? xstrndup(text, (size_t)(colon - text))
				       : NULL;
	unsigned char binary[sizeof(struct in6_addr)];

	return host && *port && strlen(port) <= 5 && strspn(port, "0123456789") == strlen(port) &&
	       strtol(port, NULL, 10) <= 65535 &&
	       inet_pton(six ? AF_INET6 : AF_INET, host, binary) == 1;
}

static int check_text(const char *key, const char *text, struct err *e)
{
	struct log_filter filter;
	enum log_format format;

	if (!*text)
		return err_set(e, EINVAL, "%s: must not be empty", key);
	if (strcmp(key, "listen") == 0 && !is_address(text))
		return err_set(e, EINVAL,
			       "listen: '%s' is no address to listen at; use 127.0.0.1:8787 or "
			       "[::1]:8787",
			       text);
	if (strcmp(key, "log_format") == 0 && !log_format_parse(text, &format))
		return err_set(e, EINVAL, "log_format: must be auto, human or json");
	if (strcmp(key, "log_level") == 0 && log_filter_parse(&filter, text, e) < 0)
		return err_wrap(e, "log_level");
	return 0;
}

int settings_put(struct settings *s, const char *key, const char *text, struct err *e)
{
	const struct setting *row = find(key);
	long long v;
	char *end;

	if (!row)
		return err_set(e, EINVAL, "%s: no such option", key);
	if (row->type == SETTING_TEXT) {
		int rc = check_text(key, text, e);
		if (rc == 0)
			put_text(s, row, text);
		return rc;
	}
	if (row->type == SETTING_BOOL) {
		*(bool *)field(s, row) = strcmp(text, "true") == 0;
		return 0;
	}
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return err_set(e, EINVAL, "%s: must be a whole number", key);
	return put_int(s, row, v, e);
}

static int apply(struct settings *s, const struct toml_item *item, struct err *e)
{
	const struct setting *row = find(item->key);
	const char *names[ARRAY_LEN(setting_table)], *near;

	if (row && row->type == SETTING_TEXT && item->type == TOML_STRING && item->string)
		return settings_put(s, row->key, item->string, e);
	if (row && row->type == SETTING_INT && item->type == TOML_INT)
		return put_int(s, row, item->integer, e);
	if (row && row->type == SETTING_BOOL && item->type == TOML_BOOL) {
		*(bool *)field(s, row) = item->boolean;
		return 0;
	}
	if (row)
		return err_set(e, EINVAL, "%s: must be a %s", row->key,
			       row->type == SETTING_TEXT  ? "text in quotes"
			       : row->type == SETTING_INT ? "whole number"
							  : "true or false");
	for (size_t i = 0; i < setting_count; i++)
		names[i] = setting_table[i].key;
	near = nearest_word(item->key, names, setting_count);
	return err_set(e, EINVAL, "%s: no such option%s%s%s", item->key,
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int read_items(struct settings *s, const char *path, const struct toml_doc *doc,
		      struct err *e)
{
	for (size_t i = 0; i < doc->n; i++)
		if (doc->items[i].top && apply(s, &doc->items[i], e) < 0)
			return err_wrap(e, "%s:%u", path, doc->items[i].line);
	return 0;
}

static int read_file(struct settings *s, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	struct toml_doc doc = {0};
	unsigned line = 0, column = 0;
	size_t len;
	int rc = fs_read(path, FILE_MAX, &text, &len, e);

	if (rc < 0)
		return err_wrap(e, "the config file cannot be read");
	if (toml_parse(text, len, &doc, &line, &column) < 0)
		return err_set(e, EINVAL, "%s:%u:%u: not valid TOML", path, line, column);
	rc = read_items(s, path, &doc, e);
	toml_fini(&doc);
	return rc;
}

/* $NAME or ~/fallback, and studiod below it. */
static char *xdg_path(const char *name, const char *fallback)
{
	const char *base = getenv(name);
	auto_free char *expanded =
	    base && base[0] == '/' ? xstrdup(base) : fs_expand_home(fallback);

	return fs_join(expanded, "studiod");
}

char *settings_default_path(void)
{
	auto_free char *dir = xdg_path("XDG_CONFIG_HOME", "~/.config");

	return fs_join(dir, "config.toml");
}

int settings_load(struct settings *s, const char *path, struct err *e)
{
	auto_free char *standard = settings_default_path();
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < setting_count; i++)
		if (settings_put(s, setting_table[i].key, setting_table[i].fallback, &ignored) < 0)
			s->data_dir = xdg_path("XDG_DATA_HOME",
					       "~/.local/share"); /* the one without a fallback */
	if (!path && !fs_exists(standard))
		return 0;
	return read_file(s, path ? path : standard, e);
}

void settings_fini(struct settings *s)
{
	for (size_t i = 0; i < setting_count; i++)
		if (setting_table[i].type == SETTING_TEXT)
			free(*(char **)field(s, &setting_table[i]));
	*s = (struct settings){0};
}
