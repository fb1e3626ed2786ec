/* config.h - the owner's config.toml: one row a key in option_table.c.
 * The file is the owner's: read with toml++, and when the program changes a key only that line
 * changes. SPDX-License-Identifier: MIT */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/log.h"

struct options {
	char *api_base_url, *auto_update_feed;
	char *models_root; /* ~ is expanded in this and every other path */
	double vram_threshold_gb, vram_margin_gb, models_quota_gb, download_limit_mbps;
	bool auto_start, start_minimised, only_when_idle, auto_update_enabled,
	    auto_update_prerelease;
	int64_t auto_update_interval_secs, ws_reconnect_attempts, local_api_port, engine_idle_secs;
	char **allow_hosts; /* ends with NULL */
	/* Places of programs; "": looked for. */
	char *sd_server_path, *sd_cli_path, *llama_server_path, *whisper_server_path, *piper_path,
	    *espeak_ng_path, *pocketsphinx_path, *ffmpeg_path, *onnxruntime_path;
};

struct config {
	char *path, *dir, *state_dir; /* state_dir: dir/state */
	struct options options;
	uint64_t fingerprint; /* of the file's content, to see edits */
};

enum option_type { OPTION_STRING, OPTION_BOOL, OPTION_INT, OPTION_NUMBER, OPTION_LIST };
struct option {
	const char *key;
	enum option_type type;
	const char *fallback; /* default, as it would stand in the file */
	const char *help;
	size_t offset;	 /* of the field in struct options */
	double min, max; /* of a number */
	bool path;	 /* a string whose ~ is expanded */
};
extern const struct option option_table[];
extern const size_t option_count;

/* Default: $XDG_CONFIG_HOME or ~/.config, /studio-worker/config.toml; when that is missing and a
 * production worker's minis-studio-worker/config.toml is there, that one, so that it goes on
 * working as it is. free() it. */
char *config_default_path(void);
/* Loads (a missing file is all defaults), warns of unknown keys on log (may be NULL). An error
 * names file and line, never a value; *c is then untouched. */
int config_load(struct config *c, const char *path, struct log *log, struct err *e) MUST_CHECK;
/* Only its places, with the options at their defaults: for commands that talk to a running daemon
 * and must work whatever the file holds. */
void config_init(struct config *c, const char *path);
void config_fini(struct config *c);
/* Re-reads when the file changed; 1 when options changed, 0 when not, negative on a broken file
 * (options stay; said once for each content of the file, so that asking every second does not fill
 * the log). A file that went away changes nothing. */
int config_refresh(struct config *c, struct log *log, struct err *e) MUST_CHECK;
/* Sets one key in the file (made when missing, 0600), keeping comments, order and everything else
 * byte for byte. The text is checked against the key's type. */
int config_set(struct config *c, const char *key, const char *text, struct err *e) MUST_CHECK;
/* Removes keys with their lines; those that are not there don't matter. */
int config_remove(struct config *c, const char *const *keys, size_t n, struct err *e) MUST_CHECK;

#endif
