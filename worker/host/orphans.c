/* orphans.c - see orphans.h. A process id alone proves nothing, it may be another's by now: only
 * together with its start time and the boot, or with the mark in its environment, is it ours to
 * kill. SPDX-License-Identifier: MIT */
#include "worker/host/orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"

#define ENVIRON_MAX (1u << 20) /* bytes of an environment that are looked at */
#define DEATH_MS    500
#define ROUNDS	    5 /* of looking for what a killed process started meanwhile */

/* '\0'-terminated; the caller's. NULL when it can't be read. */
static char *read_proc(const char *pid, const char *file, size_t max, size_t *len)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	size_t cap = 4096, n = 0;
	char *data = xmalloc(cap + 1);
	for (;;) {
		ssize_t got = read(fd, data + n, cap - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n == max)
			break;
		if (n == cap)
			data = xrealloc(data, (cap = cap * 2 < max ? cap * 2 : max) + 1);
	}
	close(fd);
	data[n] = '\0';
	*len = n;
	return data;
}

unsigned long long process_start_time(pid_t pid)
{
	char name[24], state;
	unsigned long long start = 0;
	size_t n;
	snprintf(name, sizeof name, "%d", (int)pid);
	auto_free char *text = read_proc(name, "stat", 4096, &n);
	/* The name, field 2, may hold anything, also ')'. */
	const char *rest = text ? strrchr(text, ')') : NULL;
	if (!rest ||
	    sscanf(rest + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

static void boot_id(char out[40])
{
	size_t n;
	auto_free char *id = read_proc("sys/kernel/random", "boot_id", 64, &n);
	snprintf(out, 40, "%.36s", id ? id : "unknown");
	out[strcspn(out, "\n")] = '\0';
}

int orphan_begin(struct orphan *o, const char *engines_dir, struct err *e)
{
	struct rng rng;
	rng_init_system(&rng);
	rng_hex(&rng, o->mark, (MARK_LEN - 1) / 2);
	o->env = xasprintf("%s=%s", ORPHAN_MARK, o->mark);
	o->folder = fs_join(engines_dir, o->mark);
	auto_free char *dir = fs_join(o->folder, "dir");
	int rc = fs_mkdirs(engines_dir, 0700, e);
	if (rc == 0)
		rc = fs_mkdir(o->folder, 0700, e);
	return rc < 0 ? rc : fs_mkdir(dir, 0700, e);
}

/* Need not survive the machine: a boot later there is nothing left to end. */
int orphan_record(const struct orphan *o, pid_t pid, struct err *e)
{
	char boot[40], text[128];
	auto_free char *path = fs_join(o->folder, "record");
	boot_id(boot);
	int len =
	    snprintf(text, sizeof text, "%d %llu %s\n", (int)pid, process_start_time(pid), boot);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot write %s", path);
	ssize_t n = write(fd, text, (size_t)len);
	int code = n < 0 ? errno : EIO;
	close(fd);
	return n == len ? 0 : err_sys(e, code, "cannot write %s", path);
}

void orphan_fini(struct orphan *o)
{
	if (o->folder)
		fs_remove_tree(o->folder, NULL);
	free(o->folder);
	free(o->env);
	*o = (struct orphan){0};
}

/* Whether one of the entries of an environment is exactly this. */
static bool has_entry(const char *env, size_t len, const char *entry)
{
	for (const char *p = env; p < env + len; p += strlen(p) + 1)
		if (strcmp(p, entry) == 0)
			return true;
	return false;
}

static bool has_mark(const char *pid, const char *entry)
{
	size_t len;
	auto_free char *env = read_proc(pid, "environ", ENVIRON_MAX, &len);
	return env && has_entry(env, len, entry);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void await_death(pid_t pid, unsigned long long start)
{
	for (int i = 0; i < DEATH_MS / 5 && process_start_time(pid) == start; i++)
		pause_ms(5);
}

/* One look over all processes. */
static int kill_marked(const char *entry)
{
	int n = 0;
	DIR *proc = opendir("/proc");
	if (!proc)
		return 0;
	for (const struct dirent *d; (d = readdir(proc));) {
		pid_t pid = isdigit((unsigned char)d->d_name[0]) ? atoi(d->d_name) : 0;
		unsigned long long start = pid > 1 ? process_start_time(pid) : 0;
		if (!start || pid == getpid() || !has_mark(d->d_name, entry))
			continue;
		kill(pid, SIGKILL);
		await_death(pid, start);
		n++;
	}
	closedir(proc);
	return n;
}

int orphan_sweep(const char *mark)
{
	int total = 0, n = 1;
	auto_free char *entry = xasprintf("%s=%s", ORPHAN_MARK, mark);
	/* What is killed may have started something after its place in /proc was passed. */
	for (int i = 0; i < ROUNDS && n > 0; i++)
		total += n = kill_marked(entry);
	return total;
}

/* By the record: the leader, while it is surely the same process. */
static int end_recorded(const char *folder)
{
	int pid = 0;
	unsigned long long start = 0;
	char was[40] = "", now[40];
	auto_free char *path = fs_join(folder, "record"), *text = NULL;
	size_t len;
	struct err ignored;
	/* One that was cut in the middle leaves the mark. */
	if (fs_read(path, 256, &text, &len, &ignored) < 0 ||
	    sscanf(text, "%d %llu %39s", &pid, &start, was) != 3)
		return 0;
	boot_id(now);
	if (pid <= 1 || !start || strcmp(was, now) != 0 || process_start_time(pid) != start)
		return 0;
	if (kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	await_death(pid, start);
	return 1;
}

static bool is_mark(const char *name)
{
	return strlen(name) == MARK_LEN - 1 && strspn(name, "0123456789abcdef") == MARK_LEN - 1;
}

void orphans_end(const char *engines_dir, struct log *log)
{
	char **names;
	size_t n;
	struct err e = ERR_INIT;
	if (!fs_exists(engines_dir))
		return;
	if (fs_list(engines_dir, &names, &n, &e) < 0) {
		log_warn(log, "host", NULL, "engines of an earlier run: %s", e.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_mark(names[i]))
			continue;
		auto_free char *folder = fs_join(engines_dir, names[i]);
		int ended = end_recorded(folder);
		ended += orphan_sweep(names[i]);
		if (ended)
			log_warn(log, "host", NULL,
				 "ended %d process%s that an engine of an earlier run had left",
				 ended, ended == 1 ? "" : "es");
		fs_remove_tree(folder, NULL);
	}
	fs_list_free(names, n);
}
