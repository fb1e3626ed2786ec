/* flags.c - see flags.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/flags.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"

enum { API_KEY_FILE, ALIAS, NO_UI, NO_WEBUI, OFFLINE, CACHE_RAM, SSE_PING, JINJA, NO_SHIFT };

static const char *const names[] = {
    [API_KEY_FILE] = "--api-key-file",	[ALIAS] = "--alias",	 [NO_UI] = "--no-ui",
    [NO_WEBUI] = "--no-webui",		[OFFLINE] = "--offline", [CACHE_RAM] = "--cache-ram",
    [SSE_PING] = "--sse-ping-interval", [JINJA] = "--jinja",	 [NO_SHIFT] = "--no-context-shift",
};

static bool in_flag(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* As a whole word. */
static bool says(const char *line, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = line; (at = strstr(at, name)); at += n)
		if ((at == line || !in_flag(at[-1])) && !in_flag(at[n]))
			return true;
	return false;
}

void flags_read(struct flags *f, const char *line)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (says(line, names[i]))
			f->known |= 1u << i;
}

static bool knows(const struct flags *f, unsigned flag)
{
	return f->known & (1u << flag);
}

int flags_check(const struct flags *f, struct err *e)
{
	if (!f->known)
		return err_set(e, ENOTSUP,
			       "what is installed as llama-server is none: its --help names no "
			       "flag of it");
	if (!knows(f, API_KEY_FILE))
		return err_set(e, ENOTSUP,
			       "this llama-server is too old: it lacks --api-key-file; install a "
			       "newer one (github.com/ggml-org/llama.cpp/releases)");
	return 0;
}

/* ---- files ---- */

/* "x-00002-of-00005.gguf": llama-server is given the first and finds the others beside it. */
static bool later_part(const char *name)
{
	const char *of = strstr(name, "-of-");
	return of && of - name >= 6 && of[-6] == '-' && strncmp(of - 5, "00001", 5) != 0;
}

static int place(struct flags_files *out, const struct source_file *f, const char *path,
		 size_t *loras, struct err *e)
{
	if (strcmp(f->role, "model") == 0) {
		if (!later_part(f->filename) && out->model)
			return err_set(e, EINVAL, "llama-cpp runs one file of role model, not two");
		if (!later_part(f->filename))
			out->model = path;
	} else if (strcmp(f->role, "text-encoder-vision") == 0) {
		out->mmproj = path;
	} else if (strcmp(f->role, "lora") == 0) {
		if (*loras + 1 >= ARRAY_LEN(out->lora))
			return err_set(e, EINVAL, "llama-cpp takes up to %zu files of role lora",
				       ARRAY_LEN(out->lora) - 1);
		out->lora[(*loras)++] = path;
	} else {
		return err_set(e, EINVAL,
			       "llama-cpp has no use for a file of role '%.32s'; it can be model, "
			       "text-encoder-vision (mmproj) or lora",
			       f->role);
	}
	return 0;
}

int flags_files(const struct source *s, const char *const *paths, struct flags_files *out,
		struct err *e)
{
	size_t loras = 0;
	*out = (struct flags_files){0};
	for (size_t i = 0; i < s->n_files; i++) {
		const struct source_file *f = &s->files[i];
		if (!ends_with_any_case(f->filename, ".gguf"))
			return err_set(e, EINVAL, "llama-server reads GGUF files, not '%.128s'",
				       f->filename);
		int rc = place(out, f, paths ? paths[i] : f->filename, &loras, e);
		if (rc < 0)
			return rc;
	}
	return out->model ? 0
			  : err_set(e, EINVAL, "the model's source names no file of role model");
}

/* ---- the command line ---- */

struct args {
	const char **argv;
	size_t n;
};

static void add(struct args *a, const char *flag, const char *value)
{
	a->argv[a->n++] = flag;
	if (value)
		a->argv[a->n++] = value;
}

void flags_argv(const struct flags *f, const struct flags_files *files, const char *alias,
		const char *context, const char *argv[FLAGS_MAX_ARGS])
{
	const struct {
		unsigned flag;
		const char *value;
	} optional[] = {
	    {ALIAS, alias},
	    {OFFLINE, NULL},
	    {CACHE_RAM, "0"}, /* up to 8 GiB of the owner's memory by default */
	    {SSE_PING, "2"},  /* it waits for the next one when it is told to end */
	    {JINJA, NULL},    /* the model's own template; the default since 2025-11 */
	    {NO_SHIFT, NULL}, /* a prompt is never cut; the default since 2025-08 */
	    {knows(f, NO_UI) ? NO_UI : NO_WEBUI, NULL},
	};
	struct args a = {argv, 0};
	add(&a, "-m", files->model);
	if (files->mmproj)
		add(&a, "--mmproj", files->mmproj);
	for (size_t i = 0; files->lora[i]; i++)
		add(&a, "--lora", files->lora[i]);
	add(&a, "--host", "127.0.0.1");
	add(&a, "--port", "{port}");
	add(&a, "-c", context);
	add(&a, "-np", "1");
	/* All of them; older builds don't know the word "all". */
	add(&a, "-ngl", "999");
	add(&a, "--api-key-file", "{key}");
	for (size_t i = 0; i < ARRAY_LEN(optional); i++)
		if (knows(f, optional[i].flag))
			add(&a, names[optional[i].flag], optional[i].value);
	argv[a.n] = NULL;
}
