/* config.c - config.toml on disk: loading, noticing edits, changing one key.
 * SPDX-License-Identifier: MIT */
#include "worker/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/config/edit.h"
#include "worker/config/options.h"

/* ---- places ---- */

static char *config_root(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	return xdg && xdg[0] == '/' ? xstrdup(xdg) : fs_expand_home("~/.config");
}

char *config_default_path(void)
{
	auto_free char *root = config_root();
	auto_free char *own = fs_join(root, "studio-worker/config.toml");
	auto_free char *production = fs_join(root, "minis-studio-worker/config.toml");
	return fs_exists(own) || !fs_exists(production) ? steal(&own) : steal(&production);
}

static char *absolute(const char *path)
{
	if (path[0] == '/')
		return xstrdup(path);
	auto_free char *cwd = getcwd(NULL, 0);
	return fs_join(cwd ? cwd : ".", path);
}

static void set_places(struct config *c, const char *path)
{
	c->path = absolute(path);
	const char *slash = strrchr(c->path, '/');
	c->dir = slash == c->path ? xstrdup("/") : xstrndup(c->path, (size_t)(slash - c->path));
	c->state_dir = fs_join(c->dir, "state");
}

/* ---- reading ---- */

/* FNV-1a; `len` + 1 so that an empty file differs from none. */
static uint64_t fingerprint(const char *text, size_t len)
{
	uint64_t h = 14695981039346656037u ^ (len + 1);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 1099511628211u;
	return h;
}

/* *text is NULL when there is no file. */
static int read_text(const char *path, char **text, size_t *len, struct err *e)
{
	struct err cause = ERR_INIT;
	*text = NULL;
	*len = 0;
	int r = fs_read(path, OPTIONS_MAX_BYTES, text, len, &cause);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(e, cause.code, "%s", cause.text) : 0;
}

struct warner {
	struct log *log;
	const char *path;
};

static void warn_unknown(void *arg, const char *key, unsigned line)
{
	struct warner *w = arg;
	log_warn(w->log, "config", NULL, "%s:%u: unknown key %.100s is ignored", w->path, line,
		 key);
}

static int read_options(struct config *c, const char *text, size_t len, struct options *out,
			struct log *log, struct err *e)
{
	struct warner w = {log, c->path};
	return options_read(out, c->path, text ? text : "", len, log ? warn_unknown : NULL, &w, e);
}

int config_load(struct config *c, const char *path, struct log *log, struct err *e)
{
	struct config fresh = {0};
	auto_free char *text = NULL;
	size_t len = 0;
	set_places(&fresh, path);
	int r = read_text(fresh.path, &text, &len, e);
	if (r == 0)
		r = read_options(&fresh, text, len, &fresh.options, log, e);
	if (r < 0) {
		config_fini(&fresh);
		return r;
	}
	fresh.fingerprint = text ? fingerprint(text, len) : 0;
	*c = fresh;
	return 0;
}

void config_init(struct config *c, const char *path)
{
	*c = (struct config){0};
	set_places(c, path);
	options_init(&c->options);
}

void config_fini(struct config *c)
{
	free(c->path);
	free(c->dir);
	free(c->state_dir);
	options_fini(&c->options);
	*c = (struct config){0};
}

int config_refresh(struct config *c, struct log *log, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int r = read_text(c->path, &text, &len, e);
	if (r < 0 || !text)
		return r;
	uint64_t print = fingerprint(text, len);
	if (print == c->fingerprint)
		return 0;
	c->fingerprint = print;
	struct options fresh;
	r = read_options(c, text, len, &fresh, log, e);
	if (r < 0)
		return r;
	if (options_equal(&fresh, &c->options)) {
		options_fini(&fresh); /* others hold on to our strings until a change is told */
		return 0;
	}
	options_fini(&c->options);
	c->options = fresh;
	return 1;
}

/* ---- changing ---- */

/* A link (to a folder of dot files, say) stays one: what it points at is replaced. */
static char *real_target(const char *path)
{
	char *real = realpath(path, NULL);
	return real ? real : xstrdup(path);
}

static int write_text(const struct config *c, const char *text, size_t len, struct err *e)
{
	auto_free char *target = real_target(c->path);
	struct stat st;
	mode_t mode = stat(target, &st) == 0 ? st.st_mode & 0777 : 0600;
	int r = fs_mkdirs(c->dir, 0700, e);
	return r < 0 ? r : fs_write_atomic(target, text, len, mode, e);
}

static int adopt(struct config *c, const char *text, size_t len, struct err *e)
{
	struct options fresh;
	int r = read_options(c, text, len, &fresh, NULL, e);
	if (r < 0)
		return r;
	r = write_text(c, text, len, e);
	if (r < 0) {
		options_fini(&fresh);
		return r;
	}
	options_fini(&c->options);
	c->options = fresh;
	c->fingerprint = fingerprint(text, len);
	return 0;
}

int config_set(struct config *c, const char *key, const char *value, struct err *e)
{
	const struct option *opt = option_find(key);
	if (!opt)
		return err_set(e, EINVAL, "there is no option %s", key);
	auto_free char *toml = NULL, *text = NULL, *edited = NULL;
	size_t len = 0, edited_len = 0;
	int r = option_parse(opt, value, &toml, e);
	if (r == 0)
		r = read_text(c->path, &text, &len, e);
	if (r < 0)
		return r;
	r = edit_set(text ? text : "", len, key, toml, &edited, &edited_len, e);
	if (r < 0)
		return err_wrap(e, "%s", c->path);
	return adopt(c, edited, edited_len, e);
}

int config_remove(struct config *c, const char *const *keys, size_t n, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int r = read_text(c->path, &text, &len, e);
	if (r < 0 || !text)
		return r;
	uint64_t before = fingerprint(text, len);
	for (size_t i = 0; i < n; i++) {
		char *edited = NULL;
		r = edit_remove(text, len, keys[i], &edited, &len, e);
		if (r < 0)
			return err_wrap(e, "%s", c->path);
		free(text);
		text = edited;
	}
	return fingerprint(text, len) == before ? 0 : adopt(c, text, len, e);
}
