/* spec.c - copies of what a server is, and whether two are the same.
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "worker/host/internal.h"

#define LOAD_BASE_MS  60000
#define LOAD_RATE_BPS (20ull << 20) /* of a slow hard disk */

static char **copy_list(const char *const *from)
{
	size_t n = 0;
	if (!from)
		return NULL;
	while (from[n])
		n++;
	char **to = xcalloc(n + 1, sizeof *to);
	for (size_t i = 0; i < n; i++)
		to[i] = xstrdup(from[i]);
	return to;
}

static void free_list(char **l)
{
	for (char **p = l; p && *p; p++)
		free(*p);
	free(l);
}

static bool list_equal(const char *const *a, const char *const *b)
{
	static const char *const none[] = {NULL};
	for (a = a ? a : none, b = b ? b : none; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return !*a && !*b;
}

static struct file_id identify(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return (struct file_id){0};
	return (struct file_id){(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
				(int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec};
}

static struct file_id *identify_all(char **files)
{
	size_t n = 0;
	while (files && files[n])
		n++;
	struct file_id *ids = n ? xcalloc(n, sizeof *ids) : NULL;
	for (size_t i = 0; i < n; i++)
		ids[i] = identify(files[i]);
	return ids;
}

bool spec_outdated(const struct spec_copy *c)
{
	for (size_t i = 0; c->files && c->files[i]; i++) {
		struct file_id now = identify(c->files[i]);
		if (memcmp(&now, &c->ids[i], sizeof now) != 0)
			return true;
	}
	return false;
}

void spec_copy(struct spec_copy *to, const struct warm_spec *from)
{
	to->s = *from;
	to->argv = copy_list(from->argv);
	to->env = copy_list(from->env);
	to->files = copy_list(from->files);
	to->ids = identify_all(to->files);
	to->s.argv = (const char *const *)to->argv;
	to->s.env = (const char *const *)to->env;
	to->s.files = (const char *const *)to->files;
	to->s.engine = xstrdup(from->engine);
	to->s.model = xstrdup(from->model ? from->model : "");
	to->s.program = xstrdup(from->program);
	to->s.ready_path = xstrdup(from->ready_path);
	if (!to->s.lanes)
		to->s.lanes = 1;
}

void spec_fini(struct spec_copy *c)
{
	free((void *)(uintptr_t)c->s.engine);
	free((void *)(uintptr_t)c->s.model);
	free((void *)(uintptr_t)c->s.program);
	free((void *)(uintptr_t)c->s.ready_path);
	free_list(c->argv);
	free_list(c->env);
	free_list(c->files);
	free(c->ids);
}

bool spec_equal(const struct warm_spec *a, const struct warm_spec *b)
{
	return strcmp(a->program, b->program) == 0 && list_equal(a->argv, b->argv) &&
	       list_equal(a->env, b->env);
}

uint64_t warm_load_ms(const char *const *files)
{
	uint64_t bytes = 0;
	struct stat st;
	for (; files && *files; files++)
		if (stat(*files, &st) == 0 && st.st_size > 0)
			bytes += (uint64_t)st.st_size;
	return LOAD_BASE_MS + bytes / (LOAD_RATE_BPS / 1000);
}
