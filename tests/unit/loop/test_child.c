/* Child processes: output as lines, endings, the death of the whole group.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/child.h"

struct fixture {
	struct loop loop;
	struct child *child;
	struct buf out, err;
	size_t lines;
	bool kill_on_line, drop_on_line, ended;
	struct child_end end;
	char first_error[256];
	struct timer limit;
};

static void on_line(void *arg, int fd, const char *line)
{
	struct fixture *f = arg;
	f->lines++;
	assert_true(buf_printf(fd == 1 ? &f->out : &f->err, "%s|", line));
	if (f->kill_on_line)
		child_kill(f->child);
	if (f->drop_on_line) {
		child_drop(f->child);
		loop_stop(&f->loop);
	}
}

static void on_end(void *arg, const struct child_end *end)
{
	struct fixture *f = arg;
	assert_false(f->ended);
	f->ended = true;
	f->end = *end;
	snprintf(f->first_error, sizeof f->first_error, "%s", end->first_error);
	loop_stop(&f->loop);
}

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("the child did not end in time");
}

static const struct child_events events = {on_line, on_end};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	assert_int_equal(loop_init(&f->loop, NULL), 0);
	buf_init(&f->out, 1 << 20);
	buf_init(&f->err, 1 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	timer_stop(&f->limit);
	loop_fini(&f->loop);
	buf_fini(&f->out);
	buf_fini(&f->err);
	free(f);
	return 0;
}

static void start(struct fixture *f, const struct child_spec *spec)
{
	struct err e = ERR_INIT;
	f->child = child_start(&f->loop, spec, &events, f, &e);
	if (!f->child)
		fail_msg("%s", e.text);
	timer_start(&f->limit, &f->loop.clock, 20000, too_late, f);
}

static void run(struct fixture *f, const struct child_spec *spec)
{
	start(f, spec);
	loop_run(&f->loop);
}

static void run_shell(struct fixture *f, const char *script)
{
	run(f, &(struct child_spec){.argv = (const char *const[]){"sh", "-c", script, NULL}});
}

static const char *text(const struct buf *b)
{
	return b->data ? b->data : "";
}

static void test_output_and_exit_code(void **state)
{
	struct fixture *f = *state;
	run_shell(f, "echo one; printf 'two\\r\\nthree\\rfour\\n\\nlast'; echo >&2; echo oops >&2; "
		     "echo x >&2; exit 3");
	assert_string_equal(text(&f->out), "one|two|three|four||last|");
	assert_string_equal(text(&f->err), "|oops|x|");
	assert_int_equal(f->end.exit_code, 3);
	assert_int_equal(f->end.signal, 0);
	assert_false(f->end.timed_out || f->end.cancelled || f->end.leaked);
	assert_string_equal(f->first_error, "oops");
}

static void test_no_output(void **state)
{
	struct fixture *f = *state;
	run_shell(f, ":");
	assert_int_equal(f->end.exit_code, 0);
	assert_string_equal(f->first_error, "");
	assert_int_equal(f->lines, 0);
}

static void test_long_line_is_cut(void **state)
{
	struct fixture *f = *state;
	run_shell(f, "head -c 10000 /dev/zero | tr '\\0' a; echo; echo b; printf 'c\\0d\\n'");
	assert_int_equal(f->lines, 3);
	assert_int_equal(strspn(text(&f->out), "a"), 4096);
	assert_string_equal(text(&f->out) + 4096, "|b|c?d|");
}

static void test_much_output(void **state)
{
	struct fixture *f = *state;
	run_shell(f, "i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1)); done");
	assert_int_equal(f->lines, 5000);
	assert_string_equal(text(&f->out) + f->out.len - 10, "4998|4999|");
}

static void test_input(void **state)
{
	struct fixture *f = *state;
	size_t n = 300000; /* more than a pipe holds */
	auto_free char *input = xmalloc(n);
	memset(input, 'z', n);
	run(f, &(struct child_spec){.argv = (const char *const[]){"wc", "-c", NULL},
				    .input = input,
				    .input_len = n});
	assert_string_equal(text(&f->out), "300000|");
}

static void test_input_not_read(void **state)
{
	struct fixture *f = *state;
	size_t n = 300000;
	auto_free char *input = xcalloc(1, n);
	run(f, &(struct child_spec){
		   .argv = (const char *const[]){"true", NULL}, .input = input, .input_len = n});
	assert_int_equal(f->end.exit_code, 0);
}

static void test_stdin_is_empty(void **state)
{
	struct fixture *f = *state;
	run(f, &(struct child_spec){.argv = (const char *const[]){"cat", NULL}});
	assert_int_equal(f->end.exit_code, 0);
}

static void test_cwd(void **state)
{
	struct fixture *f = *state;
	run(f, &(struct child_spec){.argv = (const char *const[]){"pwd", NULL}, .cwd = "/usr"});
	assert_string_equal(text(&f->out), "/usr|");
}

static void test_environment(void **state)
{
	struct fixture *f = *state;
	const char *const argv[] = {"sh", "-c",
				    "env | grep ^CHILD_TEST_ | sort; env | grep -c ^PATH=", NULL};
	const char *const env[] = {"CHILD_TEST_B=new=1", "CHILD_TEST_EMPTY=", "CHILD_TEST_C=3",
				   NULL};
	setenv("CHILD_TEST_A", "ours", 1);
	setenv("CHILD_TEST_B", "old", 1);
	setenv("CHILD_TEST_BB", "a longer name", 1);
	run(f, &(struct child_spec){.argv = argv, .env = env});
	assert_string_equal(text(&f->out),
			    "CHILD_TEST_A=ours|CHILD_TEST_B=new=1|CHILD_TEST_BB=a longer name|"
			    "CHILD_TEST_C=3|CHILD_TEST_EMPTY=|1|");
	assert_string_equal(getenv("CHILD_TEST_B"), "old"); /* ours is untouched */
	unsetenv("CHILD_TEST_A");
	unsetenv("CHILD_TEST_B");
	unsetenv("CHILD_TEST_BB");
}

static void count_line(void *arg, int fd, const char *line)
{
	(void)fd;
	(void)line;
	(*(size_t *)arg)++;
}

struct flood {
	size_t lines;
	struct loop *loop;
};

static void flood_end(void *arg, const struct child_end *end)
{
	assert_int_equal(end->exit_code, 0);
	loop_stop(((struct flood *)arg)->loop);
}

/* Whatever the lines look like, a flood costs neither memory nor much of the processor. */
static void test_flood(void **state)
{
	static const struct {
		const char *script;
		size_t lines;
	} rows[] = {
	    {"yes \"$(printf %4095s x)\" | head -c 1073741824", 262144},
	    {"head -c 268435456 /dev/zero", 1},
	    {"yes '' | head -c 134217728 | tr '\\n' '\\r'", 134217728},
	};
	static const struct child_events counting = {count_line, flood_end};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct flood flood = {.loop = &f->loop};
		const char *const argv[] = {"sh", "-c", rows[i].script, NULL};
		clock_t begin = clock();
		assert_non_null(child_start(&f->loop, &(struct child_spec){.argv = argv}, &counting,
					    &flood, NULL));
		loop_run(&f->loop);
		assert_int_equal(flood.lines, rows[i].lines);
		print_message("flood %zu: %.1f s of processor time\n", i,
			      (double)(clock() - begin) / CLOCKS_PER_SEC);
	}
}

static void test_start_failures(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	const char *none[] = {"no-such-program-here", NULL};
	assert_null(child_start(&f->loop, &(struct child_spec){.argv = none}, &events, f, &e));
	assert_int_equal(e.code, ENOENT);
	assert_non_null(strstr(e.text, "no-such-program-here"));
	const char *folder[] = {"/usr", NULL};
	assert_null(child_start(&f->loop, &(struct child_spec){.argv = folder}, &events, f, &e));
	const char *good[] = {"true", NULL};
	struct child_spec bad_cwd = {.argv = good, .cwd = "/no/such/folder"};
	assert_null(child_start(&f->loop, &bad_cwd, &events, f, &e));
	assert_int_equal(e.code, ENOENT);
	assert_non_null(strstr(e.text, "/no/such/folder"));
	char path[] = "/tmp/child-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd,
			       "\x7f"
			       "ELFxx",
			       6),
			 6);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	const char *broken[] = {path, NULL};
	assert_null(child_start(&f->loop, &(struct child_spec){.argv = broken}, &events, f, &e));
	assert_int_equal(e.code, ENOEXEC);
	unlink(path);
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = {"sleep", "60", NULL};
	run(f, &(struct child_spec){.argv = argv, .deadline_ms = 50});
	assert_true(f->end.timed_out);
	assert_false(f->end.cancelled);
	assert_int_equal(f->end.signal, SIGTERM);
	assert_int_equal(f->end.exit_code, -1);
}

static void test_kill(void **state)
{
	struct fixture *f = *state;
	f->kill_on_line = true;
	run_shell(f, "echo up; sleep 60 & wait");
	assert_true(f->end.cancelled);
	assert_false(f->end.leaked);
	assert_int_equal(f->end.signal, SIGTERM);
}

static void test_kill_of_a_stubborn_child(void **state)
{
	struct fixture *f = *state;
	f->kill_on_line = true;
	uint64_t begin = clock_now(&f->loop.clock);
	run_shell(f, "trap '' TERM; echo up; while :; do sleep 60; done");
	assert_true(f->end.cancelled);
	assert_int_equal(f->end.signal, SIGKILL);
	assert_in_range(clock_now(&f->loop.clock) - begin, 900, 2900);
}

static bool gone(long pid)
{
	char path[64], state = 'Z';
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *in = fopen(path, "r");
	if (!in)
		return true;
	if (fscanf(in, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(in);
	return state == 'Z';
}

static void test_leader_leaves_a_grandchild(void **state)
{
	struct fixture *f = *state;
	run_shell(f, "sleep 60 & echo $!; exit 0");
	assert_int_equal(f->end.exit_code, 0);
	long pid = strtol(text(&f->out), NULL, 10);
	assert_true(pid > 1);
	assert_true(gone(pid));
}

static void test_grandchild_that_left_the_group(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = clock_now(&f->loop.clock);
	/* Field 6 is the session: wait until the grandchild has one of its own. */
	run_shell(f, "setsid sleep 60 & echo $!; "
		     "while [ \"$(cut -d' ' -f6 /proc/$!/stat)\" != $! ]; do :; done");
	long pid = strtol(text(&f->out), NULL, 10);
	assert_true(pid > 1);
	kill((pid_t)pid, SIGKILL);
	assert_true(f->end.leaked);
	assert_true(f->ended);
	assert_in_range(clock_now(&f->loop.clock) - begin, 0, 5000);
}

static void test_drop(void **state)
{
	struct fixture *f = *state;
	f->drop_on_line = true;
	run_shell(f, "echo up; echo more; sleep 60");
	assert_false(f->ended);
	assert_int_equal(f->lines, 1);
}

static void stop_now(void *arg, int fd, const char *text)
{
	(void)fd;
	(void)text;
	loop_stop(&((struct fixture *)arg)->loop);
}

/* A program that ends takes its children along, and their children. */
static void test_end_of_the_loop(void **state)
{
	(void)state;
	struct fixture f = {.ended = false};
	struct child_events ev = {stop_now, on_end};
	const char *argv[] = {"sh", "-c", "trap '' TERM; sleep 60 & echo; wait; sleep 60", NULL};
	assert_int_equal(loop_init(&f.loop, NULL), 0);
	struct child *c = child_start(&f.loop, &(struct child_spec){.argv = argv}, &ev, &f, NULL);
	assert_non_null(c);
	pid_t pid = child_pid(c);
	loop_run(&f.loop);
	child_kill(c);
	loop_fini(&f.loop);
	assert_false(f.ended);
	assert_int_equal(waitpid(pid, NULL, 0), -1);
	for (int i = 0; i < 2000 && kill(-pid, 0) == 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_int_equal(kill(-pid, 0), -1);
}

/* The last events come before what they lead to is freed. */
static void test_settle(void **state)
{
	struct fixture *f = *state;
	struct child_events ev = {stop_now, on_end};
	const char *argv[] = {"sh", "-c", "trap '' TERM; sleep 60 & echo; wait; sleep 60", NULL};
	f->child = child_start(&f->loop, &(struct child_spec){.argv = argv}, &ev, f, NULL);
	assert_non_null(f->child);
	loop_run(&f->loop);
	uint64_t begin = uv_hrtime();
	loop_settle(&f->loop);
	assert_true(f->ended);
	assert_true(f->end.cancelled);
	assert_int_equal(f->end.signal, SIGKILL);
	assert_true(uv_hrtime() - begin < 1000000000);
	loop_settle(&f->loop); /* nothing to wait for */
}

static void test_signals_are_reset(void **state)
{
	struct fixture *f = *state;
	/* SIGPIPE is ignored here, and would be in every child. */
	run_shell(f, "kill -PIPE $$; echo alive");
	assert_int_equal(f->end.signal, SIGPIPE);
}

static void test_dies_with_the_parent(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	pid_t middle = fork();
	if (middle == 0) {
		struct loop l;
		const char *argv[] = {"sleep", "60", NULL};
		struct child *c = loop_init(&l, NULL) == 0
				      ? child_start(&l, &(struct child_spec){.argv = argv},
						    &(struct child_events){0}, NULL, NULL)
				      : NULL;
		int pid = c ? child_pid(c) : 0;
		ssize_t n = write(fds[1], &pid, sizeof pid);
		raise(SIGKILL);
		_exit(n == 0);
	}
	int pid = 0;
	assert_int_equal(read(fds[0], &pid, sizeof pid), sizeof pid);
	assert_true(pid > 1);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	for (int i = 0; i < 2000 && !gone(pid); i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_true(gone(pid));
	close(fds[0]);
	close(fds[1]);
}

static void test_program_find(void **state)
{
	(void)state;
	auto_free char *sh = program_find("sh"), *given = program_find("/bin/sh");
	assert_non_null(sh);
	assert_int_equal(sh[0], '/');
	assert_string_equal(given, "/bin/sh");
	assert_null(program_find("no-such-program-here"));
	assert_null(program_find("/usr"));
	assert_null(program_find(""));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_output_and_exit_code),
	    T(test_no_output),
	    T(test_long_line_is_cut),
	    T(test_much_output),
	    T(test_input),
	    T(test_input_not_read),
	    T(test_stdin_is_empty),
	    T(test_cwd),
	    T(test_environment),
	    T(test_flood),
	    T(test_start_failures),
	    T(test_deadline),
	    T(test_kill),
	    T(test_kill_of_a_stubborn_child),
	    T(test_leader_leaves_a_grandchild),
	    T(test_grandchild_that_left_the_group),
	    T(test_drop),
	    cmocka_unit_test(test_end_of_the_loop),
	    T(test_settle),
	    T(test_signals_are_reset),
	    T(test_dies_with_the_parent),
	    T(test_program_find),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
