/* settings.h - what studiod runs with: defaults, then the config file, then the command line. One
 * row a key in settings.c. SPDX-License-Identifier: MIT */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct settings {
	char *listen, *data_dir; /* data_dir with ~ expanded */
	char *log_level, *log_format;
	bool behind_proxy; /* the rate limit believes X-Forwarded-For */
	int64_t grace_ms, offer_ms, idle_ms, hello_ms;
	int64_t max_result_bytes, max_connections, register_per_minute;
};

enum setting_type { SETTING_TEXT, SETTING_BOOL, SETTING_INT };
struct setting {
	const char *key;
	enum setting_type type;
	const char *fallback;
	int64_t min;   /* SETTING_INT: least value allowed */
	size_t offset; /* in struct settings */
	const char *help;
};
extern const struct setting setting_table[];
extern const size_t setting_count;

/* Defaults, then the file: `path`, which must exist, or NULL for the default one, which may be
 * missing. An error names file and key. */
int settings_load(struct settings *s, const char *path, struct err *e) MUST_CHECK;
/* The text is checked against the key's type; the command line's way in, too. */
int settings_put(struct settings *s, const char *key, const char *text, struct err *e) MUST_CHECK;
void settings_fini(struct settings *s);
char *
settings_default_path(void); /* $XDG_CONFIG_HOME or ~/.config, /studiod/config.toml. free() it. */

#endif
