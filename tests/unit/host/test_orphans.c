/* test_orphans.c - nothing outlives the program: what an earlier life left is known by its record
 * or its mark, and nothing else is touched. SPDX-License-Identifier: MIT */
#include <sys/ptrace.h>
#include <time.h>

#include "host_lab.h"

#define MARK "0123456789abcdef0123456789abcdef"

/* A process that sleeps; with the mark in its environment, in a session of its own. */
static pid_t sleeper(const char *mark)
{
	auto_free char *entry = mark ? xasprintf("%s=%s", ORPHAN_MARK, mark) : NULL;
	int fds[2];
	char byte;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char *argv[] = {"sleep", "60", NULL}, *env[] = {entry, NULL};
		setsid();
		execve("/bin/sleep", argv, env);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0); /* its exec */
	close(fds[0]);
	return pid;
}

static bool lives(pid_t pid)
{
	return process_start_time(pid) != 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char *folder_of(struct lab *l, const char *mark)
{
	auto_free char *engines = fs_join(l->state, "engines");
	char *folder = fs_join(engines, mark);
	struct err e = ERR_INIT;
	assert_int_equal(fs_mkdirs(folder, 0700, &e), 0);
	return folder;
}

static void remade(const char *folder)
{
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void boot(char out[64])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	assert_int_equal(fscanf(f, "%63s", out), 1);
	fclose(f);
}

static void sweep(struct lab *l)
{
	auto_free char *engines = fs_join(l->state, "engines");
	orphans_end(engines, &l->log);
}

static void a_start_time_tells_processes_apart(void **state)
{
	(void)state;
	pid_t pid = sleeper(NULL);
	assert_true(lives(getpid()) && lives(pid));
	assert_true(process_start_time(pid) >= process_start_time(getpid()));
	kill(pid, SIGKILL);
	while (lives(pid))
		usleep(1000);
	assert_int_equal(waitpid(pid, NULL, 0), pid); /* it was a zombie, which does not count */
	assert_true(process_start_time(0x7ffffff0) == 0);
}

static void a_recorded_process_is_ended_if_it_is_the_same(void **state)
{
	struct lab *l = *state;
	char id[64];
	boot(id);
	pid_t pid = sleeper(NULL);
	unsigned long long start = process_start_time(pid);
	auto_free char *folder = folder_of(l, MARK);
	lab_put(folder, "record", "%d %llu %s\n", pid, start + 1, id);
	sweep(l);
	assert_true(lives(pid));
	remade(folder);
	lab_put(folder, "record", "%d %llu 00000000-0000-0000-0000-000000000000\n", pid, start);
	sweep(l);
	assert_true(lives(pid));
	remade(folder);
	lab_put(folder, "record", "%d %llu %s\n", pid, start, id);
	sweep(l);
	assert_false(lives(pid));
	assert_true(lab_said(l, "ended 1 process that an engine of an earlier run had left"));
	assert_int_equal(lab_folders(l), 0);
	waitpid(pid, NULL, 0);
}

static void a_mark_is_enough_without_a_whole_record(void **state)
{
	struct lab *l = *state;
	pid_t marked = sleeper(MARK), plain = sleeper(NULL),
	      other = sleeper("ffffffffffffffffffffffffffffffff");
	auto_free char *folder = folder_of(l, MARK);
	lab_put(folder, "record", "12");
	sweep(l);
	assert_false(lives(marked));
	assert_true(lives(plain));
	assert_true(lives(other));
	assert_int_equal(lab_folders(l), 0);
	waitpid(marked, NULL, 0);
	end(plain);
	end(other);
}

static void hostile_records_kill_nobody(void **state)
{
	static const char *const records[] = {
	    "-1 1 x\n", "0 0 x\n", "1 1 x\n", "", "\n\n", "99999999999999999999 1 x\n", "a b c\n"};
	struct lab *l = *state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		auto_free char *folder = folder_of(l, MARK);
		lab_put(folder, "record", "%s", records[i]);
		sweep(l);
		assert_int_equal(lab_folders(l), 0);
	}
	auto_free char *kept = folder_of(l, "not-a-mark");
	sweep(l);
	assert_true(fs_exists(kept));
	assert_false(lab_said(l, "ended"));
}

static void what_is_started_meanwhile_is_found_too(void **state)
{
	char byte;
	int fds[2];
	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	setenv(ORPHAN_MARK, MARK, 1);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execl("/bin/sh", "sh", "-c",
		      "for i in 1 2 3 4 5; do setsid sleep 60 >&- & done; echo; "
		      "while :; do setsid sleep 60 >&- & sleep 0.01; done",
		      NULL);
		_exit(127);
	}
	unsetenv(ORPHAN_MARK);
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	const char *mark = MARK;
	assert_true(orphan_sweep(&mark, 1, SWEEP_MS) >= 6);
	assert_int_equal(orphan_sweep(&mark, 1, SWEEP_MS), 0);
	waitpid(pid, NULL, 0);
}

static void one_sweep_is_for_many_marks_and_waits_no_longer_than_it_may(void **state)
{
	static const char *const marks[] = {MARK, "ffffffffffffffffffffffffffffffff",
					    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"};
	(void)state;
	pid_t a = sleeper(marks[0]), b = sleeper(marks[1]), c = sleeper(marks[2]),
	      other = sleeper(NULL);
	assert_int_equal(orphan_sweep(marks, 2, SWEEP_MS), 2);
	assert_false(lives(a) || lives(b));
	assert_true(lives(c) && lives(other));
	assert_int_equal(orphan_sweep(marks, 0, SWEEP_MS), 0);
	assert_true(lives(c));
	assert_int_equal(orphan_sweep(&marks[2], 1, 0), 1); /* killed, though not waited for */
	int status = 0;
	assert_int_equal(waitpid(c, &status, 0), c);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	waitpid(a, NULL, 0);
	waitpid(b, NULL, 0);
	end(other);
}

static double seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Killed, each stops right before its end until we let go of it: as one does whose GPU memory takes
 * long to be given back. */
static void those_that_die_slowly_share_one_deadline(void **state)
{
	const char *mark = MARK;
	pid_t slow[4];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		slow[i] = sleeper(MARK);
		assert_int_equal(ptrace(PTRACE_SEIZE, slow[i], NULL, PTRACE_O_TRACEEXIT), 0);
	}
	double begin = seconds();
	assert_int_equal(orphan_sweep(&mark, 1, 300), 4);
	double took = seconds() - begin;
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		assert_true(lives(slow[i])); /* or it was no test */
		assert_int_equal(waitpid(slow[i], NULL, 0), slow[i]);
		ptrace(PTRACE_CONT, slow[i], NULL, NULL);
		waitpid(slow[i], NULL, 0);
	}
	assert_true(took >= 0.3 && took < 0.9);
}

/* A worker that is killed by SIGKILL while an engine of its runs that has left its session. */
static void __attribute__((noreturn)) live_until_killed(const struct lab *parent, int ready)
{
	struct lab *l = xcalloc(1, sizeof *l);
	struct err e = ERR_INIT;
	struct job a;
	*l = (struct lab){.state = parent->state,
			  .faults = parent->faults,
			  .drm = parent->drm,
			  .python = parent->python,
			  .fake = parent->fake};
	if (loop_init(&l->loop, &e) < 0)
		_exit(1);
	log_init(&l->log, &l->loop.clock);
	l->net = net_new(&l->loop, &l->log, "test", &e);
	l->device = device_new(&l->loop.clock);
	lab_host(l);
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	loop_run(&l->loop);
	_exit(1);
}

static void nothing_outlives_a_worker_that_was_killed(void **state)
{
	struct lab *l = *state;
	int fds[2];
	char byte;
	lab_fault(l, "fork", "1");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t worker = fork();
	if (worker == 0)
		live_until_killed(l, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	assert_int_equal(lab_processes(l), 2); /* the engine and what it left */
	end(worker);
	for (int i = 0; lab_processes(l) != 1; i++) { /* the engine died with it */
		assert_true(i < 2000);
		lab_live(l, 5);
	}
	assert_int_equal(lab_folders(l), 1);
	host_free(l->host);
	lab_host(l);
	assert_int_equal(lab_processes(l), 0);
	assert_int_equal(lab_folders(l), 0);
	if (!lab_said(l, "that an engine of an earlier run had left"))
		fail_msg("the log:\n%s", l->said.data);
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_start_time_tells_processes_apart),
	    WITH_LAB(a_recorded_process_is_ended_if_it_is_the_same),
	    WITH_LAB(a_mark_is_enough_without_a_whole_record),
	    WITH_LAB(hostile_records_kill_nobody),
	    cmocka_unit_test(what_is_started_meanwhile_is_found_too),
	    cmocka_unit_test(those_that_die_slowly_share_one_deadline),
	    cmocka_unit_test(one_sweep_is_for_many_marks_and_waits_no_longer_than_it_may),
	    WITH_LAB(nothing_outlives_a_worker_that_was_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
