/* test_kill.c - a process that is killed at any instant loses nothing of what the sqlite storage
 * said was done. A child runs a seeded life of jobs and tells of each step the storage confirmed;
 * it is killed at a seeded moment; then the file is opened again and compared with what was told.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "lib/loop/loop.h"
#include "studio/storage/storage.h"

#define SEEDS 200
#define JOBS  12
#define STEPS 60

/* One line of the child's report: the job and the state it is known to have reached. */
struct told {
	int job, step;
};

struct life {
	struct loop loop;
	struct clock clock;
	struct log log;
	struct storage *s;
	struct rng rng;
	int fd;
	struct step {
		struct life *life;
		struct told told;
	} steps[STEPS];
	int step_of[JOBS]; /* asked for so far: 0 none, 1 inserted, 2 offered, 3 claimed, 4 done */
};

static void tell(void *arg, const struct storage_reply *r)
{
	struct step *st = arg;
	if (r->err->code || !r->changed)
		_exit(3);
	if (write(st->life->fd, &st->told, sizeof(st->told)) != (ssize_t)sizeof(st->told))
		_exit(4);
}

static void insert(struct life *l, const char *id, struct step *st)
{
	json_t *task = json_pack("{s:s}", "kind", "llm");
	struct job_record j = {.id = (char *)(uintptr_t)id, .task = task};
	l->s->ops->job_insert(l->s, &j, tell, st);
	json_decref(task);
}

static void move(struct life *l, const char *id, int step, struct step *st)
{
	static const enum job_state from[] = {0, 0, JOB_QUEUED, JOB_OFFERED, JOB_CLAIMED};
	static const enum job_state to[] = {0, 0, JOB_OFFERED, JOB_CLAIMED, JOB_DONE};
	json_t *result = step == 4 ? json_pack("{s:s}", "of", id) : NULL;
	struct job_move m = {
	    .id = id,
	    .from = JOB_BIT(from[step]),
	    .if_worker = step > 2 ? "wk-1" : NULL,
	    .to = to[step],
	    .set_worker = step == 2,
	    .worker_id = "wk-1",
	    .set_result = step == 4,
	    .result = result,
	};
	l->s->ops->job_move(l->s, &m, tell, st);
	json_decref(result);
}

/* Several steps are asked for at once, so that the kill also falls into batches. */
static void live(const char *path, uint64_t seed, int fd)
{
	static struct life l;
	struct err e = ERR_INIT;
	l.fd = fd;
	rng_init_seeded(&l.rng, seed);
	clock_init(&l.clock);
	log_init(&l.log, &l.clock);
	if (loop_init(&l.loop, &e) < 0 || !(l.s = storage_sqlite_open(&l.loop, &l.log, path, &e)))
		_exit(5);
	for (int i = 0; i < STEPS; i++) {
		int job = (int)rng_below(&l.rng, JOBS);
		char id[16];
		snprintf(id, sizeof(id), "job-%d", job);
		if (l.step_of[job] == 4)
			continue;
		l.steps[i] = (struct step){&l, {job, ++l.step_of[job]}};
		if (l.step_of[job] == 1)
			insert(&l, id, &l.steps[i]);
		else
			move(&l, id, l.step_of[job], &l.steps[i]);
		if (rng_below(&l.rng, 3) == 0)
			uv_run(&l.loop.uv, UV_RUN_NOWAIT);
	}
	for (;;) /* until killed */
		uv_run(&l.loop.uv, UV_RUN_ONCE);
}

/* ---- the parent ---- */

struct check {
	const int *told;
	int replies;
};

static int reached(const struct job_record *j)
{
	return (int)j->state + 1;
}

static void compare(void *arg, const struct storage_reply *r)
{
	struct check *c = arg;
	int found[JOBS] = {0};
	c->replies++;
	assert_int_equal(r->err->code, 0);
	for (size_t i = 0; i < r->n; i++) {
		const struct job_record *j = &r->jobs[i];
		int job = atoi(j->id + 4);
		found[job] = reached(j);
		assert_true(j->state == JOB_QUEUED || strcmp(j->worker_id, "wk-1") == 0);
		if (j->state == JOB_DONE)
			assert_string_equal(json_string_value(json_object_get(j->result, "of")),
					    j->id);
		else
			assert_null(j->result);
	}
	for (int job = 0; job < JOBS; job++)
		assert_true(found[job] >= c->told[job]);
}

static void check(const char *path, const int *told)
{
	struct loop loop;
	struct clock clock;
	struct log log;
	struct err e = ERR_INIT;
	struct check c = {told, 0};
	assert_int_equal(loop_init(&loop, &e), 0);
	clock_init(&clock);
	log_init(&log, &clock);
	struct storage *s = storage_sqlite_open(&loop, &log, path, &e);
	assert_string_equal(e.text, "");
	s->ops->job_list(s, &(struct job_filter){.limit = 100}, compare, &c);
	while (!c.replies)
		uv_run(&loop.uv, UV_RUN_ONCE);
	s->ops->close(s);
	loop_fini(&loop);
}

/* Kills after a seeded number of reports, and then a seeded moment more. */
static void read_and_kill(struct rng *r, pid_t pid, int fd, int *told)
{
	struct told t;
	int n = (int)rng_below(r, STEPS * 2 / 3);
	while (n-- > 0 && read(fd, &t, sizeof(t)) == (ssize_t)sizeof(t))
		told[t.job] = t.step;
	for (volatile uint64_t spin = rng_below(r, 200000); spin > 0; spin--)
		;
	kill(pid, SIGKILL);
	while (read(fd, &t, sizeof(t)) == (ssize_t)sizeof(t))
		told[t.job] = t.step;
}

static void kill_once(const char *dir, uint64_t seed)
{
	struct rng r;
	int fds[2], status, told[JOBS] = {0};
	auto_free char *path = xasprintf("%s/%llu.db", dir, (unsigned long long)seed);
	rng_init_seeded(&r, seed + 1000);
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		live(path, seed, fds[1]);
	}
	close(fds[1]);
	read_and_kill(&r, pid, fds[0], told);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	check(path, told);
}

static void test_kill_at_any_instant(void **state)
{
	char dir[] = "/tmp/test-kill-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(dir));
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		kill_once(dir, seed);
	assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill_at_any_instant)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
