/* library.c - see library.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/onnx/library.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define SONAME "libonnxruntime.so.1" /* Debian appends the minor version: .so.1.21 */

static char *readable(const char *path)
{
	return access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
}

/* The shortest name that begins right: the one the linker would take. */
static char *look_in(const char *dir)
{
	char **names = NULL, *found = NULL;
	size_t n = 0;
	struct err e = ERR_INIT;
	if (fs_list(dir, &names, &n, &e) < 0)
		return NULL;
	for (size_t i = 0; i < n && !found; i++) {
		if (strncmp(names[i], SONAME, strlen(SONAME)) != 0)
			continue;
		auto_free char *path = fs_join(dir, names[i]);
		found = readable(path);
	}
	fs_list_free(names, n);
	return found;
}

static const char *given(const struct engine_env *env)
{
	for (const struct program_path *p = env->programs; p && p->name; p++)
		if (strcmp(p->name, "onnxruntime") == 0 && p->path && p->path[0])
			return p->path;
	const char *path = getenv("STUDIO_WORKER_ONNXRUNTIME");
	return path && path[0] ? path : NULL;
}

char *onnx_library_find(const struct engine_env *env)
{
	static const char *const folders[] = {
	    "~/.local/lib",
	    "/usr/local/lib",
	    "/usr/lib/x86_64-linux-gnu",
	    "/usr/lib/aarch64-linux-gnu",
	    "/usr/lib64",
	    "/usr/lib",
	};
	const char *path = given(env);
	if (path)
		return readable(path);
	auto_free char *bin = env->models_root ? fs_join(env->models_root, "bin") : NULL;
	char *found = bin ? look_in(bin) : NULL;
	for (size_t i = 0; i < ARRAY_LEN(folders) && !found; i++) {
		auto_free char *dir = fs_expand_home(folders[i]);
		found = look_in(dir);
	}
	return found;
}

void onnx_library_version(const char *path, char out[32])
{
	const char *at = strstr(path, ".so.");
	snprintf(out, 32, "%s", at ? at + 4 : "");
}
