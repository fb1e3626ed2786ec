/* program.c - see program.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/program.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "worker/engine/engine.h"

#define VERSION_WAIT_MS 500
#define OUTPUT_WAIT_MS	5000 /* a program with GPU libraries opens them first */

extern char **environ;

static bool executable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Absolute, when dir/name can be executed. */
static char *try_in(const char *dir, const char *name)
{
	auto_free char *path = fs_join(dir, name);
	return executable(path) ? realpath(path, NULL) : NULL;
}

static const char *from_environment(const char *name)
{
	auto_free char *key = xasprintf("STUDIO_WORKER_%s", name);
	for (char *c = key; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	const char *value = getenv(key);
	return value && *value ? value : NULL;
}

static const char *from_config(const char *name, const struct engine_env *env)
{
	for (const struct program_path *p = env->programs; p && p->name; p++)
		if (strcmp(p->name, name) == 0 && p->path && p->path[0])
			return p->path;
	return NULL;
}

char *engine_program_find(const char *name, const struct engine_env *env)
{
	const char *given = from_config(name, env);
	if (!given)
		given = from_environment(name);
	if (given)
		return executable(given) ? realpath(given, NULL) : NULL;
	auto_free char *bin = env->models_root ? fs_join(env->models_root, "bin") : NULL;
	auto_free char *home = fs_expand_home("~/.local/bin");
	char *found = bin ? try_in(bin, name) : NULL;
	if (!found)
		found = try_in(home, name);
	return found ? found : program_find(name);
}

void engine_program_refresh(char **path, const char *name, const struct engine_env *env)
{
	if (*path && executable(*path))
		return;
	free(*path);
	*path = engine_program_find(name, env);
}

/* errors: -1 for /dev/null */
static pid_t spawn_into(const char *path, const char *flag, int out, int errors)
{
	char *argv[] = {(char *)(uintptr_t)path, (char *)(uintptr_t)flag, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (errors < 0)
		posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	else
		posix_spawn_file_actions_adddup2(&actions, errors, 2);
	if (posix_spawn(&pid, path, &actions, NULL, argv, environ) != 0)
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* What can be read within the wait; one read is enough for a first line. */
static size_t read_some(int fd, char *out, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, VERSION_WAIT_MS) <= 0)
		return 0;
	ssize_t n = read(fd, out, size - 1);
	return n > 0 ? (size_t)n : 0;
}

void engine_program_version(const char *path, const char *flag, char *out, size_t size)
{
	int fds[2];
	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid_t pid = spawn_into(path, flag, fds[1], -1);
	close(fds[1]);
	if (pid > 0) {
		out[read_some(fds[0], out, size)] = '\0';
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	out[strcspn(out, "\r\n")] = '\0';
}

/* Milliseconds of the monotonic clock: this room's struct clock is the loop's, which stands still
 * while it is blocked. */
static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static size_t read_all(int fd, char *out, size_t size)
{
	int64_t end = now_ms() + OUTPUT_WAIT_MS;
	size_t len = 0;
	while (len < size) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			break;
		ssize_t n = read(fd, out + len, size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

void engine_program_output(const char *path, const char *flag, char *out, size_t size)
{
	int fds[2];
	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid_t pid = spawn_into(path, flag, fds[1], fds[1]);
	close(fds[1]);
	if (pid > 0) {
		out[read_all(fds[0], out, size - 1)] = '\0';
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
}
