/* host_lab.h - a host on a real loop, fake servers, a GPU made of files, and jobs that keep what
 * they are told. SPDX-License-Identifier: MIT */
#ifndef HOST_LAB_H
#define HOST_LAB_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/net.h"
#include "worker/host/internal.h"
#include "worker/host/served.h"

#define LAB_DEADLINE_MS 30000
#define GIB		(1ull << 30)
#define UNUSED_OK	__attribute__((unused))

struct lab {
	struct loop loop;
	struct log log;
	struct log_sink sink;
	struct buf said; /* the log */
	struct transport *net;
	struct device *device;
	struct host *host;
	char dir[64], *state, *faults, *drm, *python, *fake;
	bool stuck; /* the driver gives nothing back */
	unsigned long long used;
	struct timer limit, settle;
	double deadline_scale;
};

struct job { /* a lease and what it was told */
	struct lab *lab;
	struct lease *lease;
	char name[32];
	unsigned loading, ready, lines, died;
	double fraction;
	bool retryable, fresh;
	struct err err;
	char url[64], dir[256], last_line[256];
	struct secret key;
};

/* ---- the machine ---- */

static UNUSED_OK void lab_put(const char *folder, const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *path = fs_join(folder, name), *text = xvasprintf(fmt, ap);
	va_end(ap);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static UNUSED_OK void lab_fault(struct lab *l, const char *name, const char *value)
{
	lab_put(l->faults, name, "%s", value);
}

static UNUSED_OK void lab_mend(struct lab *l, const char *name)
{
	auto_free char *path = fs_join(l->faults, name);
	unlink(path);
}

/* As settle_memory() of faults.py: GPU memory of the living. */
static void lab_settle(void *arg)
{
	struct lab *l = arg;
	auto_free char *shares = fs_join(l->faults, "shares"), *lock = fs_join(l->faults, ".lock");
	int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	unsigned long long used = 0, share;
	flock(fd, LOCK_EX);
	DIR *d = opendir(shares);
	for (struct dirent *e; d && (e = readdir(d));) {
		auto_free char *path = fs_join(shares, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (process_start_time(atoi(e->d_name)) && fscanf(f, "%llu", &share) == 1)
			used += share;
		fclose(f);
	}
	if (d)
		closedir(d);
	auto_free char *device = xasprintf("%s/card0/device", l->drm);
	if (!l->stuck || used > l->used)
		l->used = used;
	lab_put(device, "mem_info_vram_used", "%llu\n", l->used);
	close(fd);
	timer_start(&l->settle, &l->loop.clock, 20, lab_settle, l);
}

/* GPU memory that another program holds: the test itself. */
static UNUSED_OK void lab_others(struct lab *l, uint64_t bytes)
{
	auto_free char *shares = fs_join(l->faults, "shares"), *name = xasprintf("%d", getpid());
	mkdir(shares, 0700);
	lab_put(shares, name, "%llu", (unsigned long long)bytes);
	lab_settle(l);
}

static UNUSED_OK void lab_gpu(struct lab *l, uint64_t total)
{
	auto_free char *device = xasprintf("%s/card0/device", l->drm);
	struct err e = ERR_INIT;
	assert_int_equal(fs_mkdirs(device, 0700, &e), 0);
	lab_put(device, "mem_info_vram_total", "%llu\n", (unsigned long long)total);
	lab_put(device, "mem_info_vram_used", "0\n");
	lab_settle(l);
}

static void lab_log(struct log_sink *s, const struct log_entry *e)
{
	struct lab *l = container_of(s, struct lab, sink);
	assert_true(
	    buf_printf(&l->said, "%s %s: %s\n", log_level_name(e->level), e->category, e->message));
}

static UNUSED_OK void lab_host(struct lab *l)
{
	l->host = host_new(&(struct host_deps){.loop = &l->loop,
					       .log = &l->log,
					       .net = l->net,
					       .device = l->device,
					       .state_dir = l->state,
					       .deadline_scale = l->deadline_scale});
	host_configure(l->host, &(struct host_limits){.idle_ms = 60000,
						      .memory_bytes = 1000 * GIB,
						      .margin_bytes = GIB / 2});
}

static UNUSED_OK int lab_setup(void **state)
{
	struct lab *l = xcalloc(1, sizeof *l);
	struct err e = ERR_INIT;
	static const char source[] = __FILE__;
	snprintf(l->dir, sizeof l->dir, "/tmp/host-XXXXXX");
	if (!mkdtemp(l->dir) || loop_init(&l->loop, &e) < 0)
		return -1;
	l->state = fs_join(l->dir, "state");
	l->faults = fs_join(l->dir, "faults");
	l->drm = fs_join(l->dir, "drm");
	mkdir(l->state, 0700);
	mkdir(l->faults, 0700);
	mkdir(l->drm, 0700);
	setenv("FAKE_ENGINE_DIR", l->faults, 1);
	setenv("STUDIO_WORKER_DRM", l->drm, 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	unsetenv("STUDIO_WORKER_VRAM_GB");
	l->python = program_find("python3");
	l->fake = xasprintf("%.*s/../../fake/engines/fake_server.py",
			    (int)(strrchr(source, '/') - source), source);
	log_init(&l->log, &l->loop.clock);
	buf_init(&l->said, 4u << 20);
	l->sink.write = lab_log;
	log_add_sink(&l->log, &l->sink);
	l->net = net_new(&l->loop, &l->log, "test", &e);
	l->device = device_new(&l->loop.clock);
	lab_host(l);
	*state = l;
	return l->net && l->python ? 0 : -1;
}

static UNUSED_OK int lab_teardown(void **state)
{
	struct lab *l = *state;
	struct err e = ERR_INIT;
	timer_stop(&l->settle);
	timer_stop(&l->limit);
	host_free(l->host);
	net_free(l->net);
	loop_fini(&l->loop);
	device_free(l->device);
	log_remove_sink(&l->log, &l->sink);
	buf_fini(&l->said);
	fs_remove_tree(l->dir, &e);
	free(l->state);
	free(l->faults);
	free(l->drm);
	free(l->python);
	free(l->fake);
	free(l);
	return 0;
}

/* ---- waiting ---- */

static void lab_too_late(void *arg)
{
	struct lab *l = arg;
	fail_msg("what was awaited did not come in time; the log:\n%s",
		 l->said.data ? l->said.data : "");
}

#define LAB_UNTIL(l, condition)                                                                    \
	do {                                                                                       \
		timer_start(&(l)->limit, &(l)->loop.clock, LAB_DEADLINE_MS, lab_too_late, (l));    \
		while (!(condition))                                                               \
			uv_run(&(l)->loop.uv, UV_RUN_ONCE);                                        \
		timer_stop(&(l)->limit);                                                           \
	} while (0)

static void lab_flag(void *arg)
{
	*(bool *)arg = true;
}

/* For what must NOT happen. */
static UNUSED_OK void lab_live(struct lab *l, uint64_t ms)
{
	bool over = false;
	struct timer t = {0};
	timer_start(&t, &l->loop.clock, ms, lab_flag, &over);
	LAB_UNTIL(l, over);
}

static UNUSED_OK bool lab_said(struct lab *l, const char *text)
{
	return l->said.data && strstr(l->said.data, text);
}

/* How many lines of the diary begin with the word. */
static UNUSED_OK unsigned lab_diary(struct lab *l, const char *word)
{
	auto_free char *path = fs_join(l->faults, "diary"), *text = NULL;
	size_t len, n = 0;
	struct err e = ERR_INIT;
	if (fs_read(path, 1u << 20, &text, &len, &e) < 0)
		return 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		n += strncmp(line, word, strlen(word)) == 0;
	return (unsigned)n;
}

/* Living processes with our fault folder in their environment, besides us. */
static UNUSED_OK unsigned lab_processes(struct lab *l)
{
	unsigned n = 0;
	auto_free char *entry = xasprintf("FAKE_ENGINE_DIR=%s", l->faults);
	DIR *proc = opendir("/proc");
	for (struct dirent *d; (d = readdir(proc));) {
		char path[300], data[65536];
		int pid = atoi(d->d_name);
		snprintf(path, sizeof path, "/proc/%s/environ", d->d_name);
		int fd = pid > 0 && pid != getpid() ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		ssize_t got = read(fd, data, sizeof data);
		close(fd);
		n += got > 0 && process_start_time(pid) &&
		     memmem(data, (size_t)got, entry, strlen(entry) + 1) != NULL;
	}
	closedir(proc);
	return n;
}

static UNUSED_OK size_t lab_servers(struct lab *l)
{
	json_t *all = host_status(l->host);
	size_t n = json_array_size(all);
	json_decref(all);
	return n;
}

/* Folders left in state/engines. */
static UNUSED_OK size_t lab_folders(struct lab *l)
{
	char **names = NULL;
	size_t n = 0;
	struct err e = ERR_INIT;
	auto_free char *path = fs_join(l->state, "engines");
	if (fs_list(path, &names, &n, &e) == 0)
		fs_list_free(names, n);
	return n;
}

/* "loading", "loaded", …; "" when there is no such server. */
static UNUSED_OK const char *lab_state(struct lab *l, const char *model)
{
	list_each (n, &l->host->servers) {
		struct server *s = list_entry(n, struct server, node);
		if (strcmp(s->spec.s.model, model) == 0)
			return warm_state_name(s->state);
	}
	return "";
}

/* ---- jobs ---- */

static double lab_read_loading(const char *line)
{
	int i, n;
	return sscanf(line, "loading %d/%d", &i, &n) == 2 ? (double)i / n : -1;
}

static void job_loading(void *arg, double fraction)
{
	struct job *j = arg;
	assert_int_equal(j->ready + j->died, 0);
	j->loading++;
	j->fraction = fraction;
}

static void job_ready(void *arg, const struct warm *w)
{
	struct job *j = arg;
	assert_int_equal(j->ready + j->died, 0);
	j->ready++;
	j->fresh = w->fresh;
	snprintf(j->url, sizeof j->url, "%s/job", w->base_url);
	snprintf(j->dir, sizeof j->dir, "%s", w->dir);
	secret_copy(&j->key, w->key);
}

static void job_line(void *arg, int fd, const char *line)
{
	struct job *j = arg;
	(void)fd;
	j->lines++;
	snprintf(j->last_line, sizeof j->last_line, "%s", line);
}

static void job_died(void *arg, const struct err *err, bool retryable)
{
	struct job *j = arg;
	assert_int_equal(j->died, 0);
	j->died++;
	j->lease = NULL;
	j->err = *err;
	j->retryable = retryable;
}

/* A server for `model`; the names are its argv. */
static UNUSED_OK void lab_spec(struct lab *l, const char *model, uint64_t memory,
			       const char *argv[12], struct warm_spec *spec)
{
	const char *words[12] = {l->fake,  "--port", "{port}", "--key", "{key}",
				 "--name", model,    "--dir",  "{dir}", NULL};
	memcpy(argv, words, sizeof words);
	*spec = (struct warm_spec){.engine = "fake",
				   .model = model,
				   .program = l->python,
				   .argv = argv,
				   .ready_path = "/health",
				   .memory_bytes = memory,
				   .load_ms = 20000,
				   .lanes = 1,
				   .loading = lab_read_loading};
}

static UNUSED_OK void job_start_spec(struct lab *l, struct job *j, const struct warm_spec *spec)
{
	static const struct lease_events events = {job_loading, job_ready, job_line, job_died};
	*j = (struct job){.lab = l};
	snprintf(j->name, sizeof j->name, "%s", spec->model);
	j->lease = host_lease(l->host, spec, &events, j);
	assert_int_equal(j->loading + j->ready + j->died, 0);
}

static UNUSED_OK void job_start(struct lab *l, struct job *j, const char *model, uint64_t memory)
{
	const char *argv[12];
	struct warm_spec spec;
	lab_spec(l, model, memory, argv, &spec);
	job_start_spec(l, j, &spec);
}

static UNUSED_OK void job_end(struct job *j, enum lease_verdict v)
{
	lease_end(j->lease, v);
	j->lease = NULL;
	secret_clear(&j->key);
}

struct got {
	bool done;
	int status;
	char body[600];
};

static void on_got(void *arg, const struct fetch_reply *r)
{
	struct got *g = arg;
	g->done = true;
	g->status = r->status;
	snprintf(g->body, sizeof g->body, "%s", r->body ? r->body : r->err.text);
}

static UNUSED_OK void job_ask(struct job *j, const char *text, struct got *g)
{
	struct fetch_request r = {
	    .url = j->url, .bearer = &j->key, .body = text, .body_len = strlen(text)};
	*g = (struct got){0};
	fetch_whole(j->lab->net, &r, 1u << 16, on_got, g);
}

/* The whole of a job that must go well. */
static UNUSED_OK void job_run(struct lab *l, const char *model, uint64_t memory, struct job *j)
{
	struct got g;
	auto_free char *expected = xasprintf("%s: hello", model);
	job_start(l, j, model, memory);
	LAB_UNTIL(l, j->ready || j->died);
	if (j->died)
		fail_msg("%s", j->err.text);
	job_ask(j, "hello", &g);
	LAB_UNTIL(l, g.done);
	assert_string_equal(g.body, expected);
	job_end(j, LEASE_GOOD);
}

#endif
