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
#define ROUNDS	    5	       /* of looking for what a killed process started meanwhile */

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

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the killed ---- */

struct killed {
	struct {
		pid_t pid;
		unsigned long long start;
	} * all;
	size_t n;
};

static bool was_killed(const struct killed *k, pid_t pid, unsigned long long start)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->all[i].pid == pid && k->all[i].start == start)
			return true;
	return false;
}

static void note_killed(struct killed *k, pid_t pid, unsigned long long start)
{
	k->all = xrealloc(k->all, (k->n + 1) * sizeof *k->all);
	k->all[k->n].pid = pid;
	k->all[k->n++].start = start;
}

/* One deadline for all: a process with much GPU memory takes its time to die. */
static void await_deaths(struct killed *k, unsigned within_ms)
{
	uint64_t until = now_ms() + within_ms;
	for (size_t i = 0; i < k->n; i++)
		while (process_start_time(k->all[i].pid) == k->all[i].start && now_ms() < until)
			pause_ms(5);
	free(k->all);
}

/* ---- by the mark ---- */

static bool has_mark(const char *pid, char *const *entries, size_t n)
{
	size_t len;
	auto_free char *env = read_proc(pid, "environ", ENVIRON_MAX, &len);
	for (size_t i = 0; env && i < n; i++)
		if (has_entry(env, len, entries[i]))
			return true;
	return false;
}

/* One look over all processes; how many of them are killed now and were not before. */
static size_t kill_marked(char *const *entries, size_t n, struct killed *k)
{
	size_t before = k->n;
	DIR *proc = opendir("/proc");
	if (!proc)
		return 0;
	for (const struct dirent *d; (d = readdir(proc));) {
		pid_t pid = isdigit((unsigned char)d->d_name[0]) ? atoi(d->d_name) : 0;
		unsigned long long start = pid > 1 ? process_start_time(pid) : 0;
		if (!start || pid == getpid() || was_killed(k, pid, start) ||
		    !has_mark(d->d_name, entries, n))
			continue;
		kill(pid, SIGKILL);
		note_killed(k, pid, start);
	}
	closedir(proc);
	return k->n - before;
}

static void kill_all_marked(const char *const *marks, size_t n, struct killed *k)
{
	char **entries = xcalloc(n + 1, sizeof *entries);
	for (size_t i = 0; i < n; i++)
		entries[i] = xasprintf("%s=%s", ORPHAN_MARK, marks[i]);
	/* What is killed may have started something after its place in /proc was passed; it can't
	 * any more once the signal is on its way. */
	for (int i = 0; i < ROUNDS && n > 0 && kill_marked(entries, n, k) > 0; i++)
		continue;
	for (size_t i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

int orphan_sweep(const char *const *marks, size_t n, unsigned within_ms)
{
	struct killed killed = {0};
	kill_all_marked(marks, n, &killed);
	await_deaths(&killed, within_ms);
	return (int)killed.n;
}

/* ---- by the record ---- */

/* The leader, while it is surely the same process. */
static void kill_recorded(const char *folder, struct killed *k)
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
		return;
	boot_id(now);
	if (pid <= 1 || !start || strcmp(was, now) != 0 || process_start_time(pid) != start ||
	    was_killed(k, pid, start))
		return;
	if (kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	note_killed(k, pid, start);
}

static bool is_mark(const char *name)
{
	return strlen(name) == MARK_LEN - 1 && strspn(name, "0123456789abcdef") == MARK_LEN - 1;
}

static void swap_names(char **a, char **b)
{
	char *was = *a;
	*a = *b;
	*b = was;
}

static void end_marked(const char *engines_dir, char **marks, size_t n, struct log *log)
{
	struct killed killed = {0};
	kill_all_marked((const char *const *)marks, n, &killed);
	for (size_t i = 0; i < n; i++) {
		auto_free char *folder = fs_join(engines_dir, marks[i]);
		kill_recorded(folder, &killed);
	}
	await_deaths(&killed, SWEEP_MS);
	if (killed.n)
		log_warn(log, "host", NULL,
			 "ended %zu process%s that an engine of an earlier run had left", killed.n,
			 killed.n == 1 ? "" : "es");
	for (size_t i = 0; i < n; i++) {
		auto_free char *folder = fs_join(engines_dir, marks[i]);
		fs_remove_tree(folder, NULL);
	}
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
	/* Other names are not ours. */
	size_t marks = 0;
	for (size_t i = 0; i < n; i++)
		if (is_mark(names[i]))
			swap_names(&names[i], &names[marks++]);
	end_marked(engines_dir, names, marks, log);
	fs_list_free(names, n);
}
