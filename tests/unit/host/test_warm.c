/* test_warm.c - the life of servers: every arrow of the state machine, sharing, turns, ends.
 * SPDX-License-Identifier: MIT */
#include "host_lab.h"

/* ---- the state machine ---- */

static void only_the_drawn_moves_are_possible(void **state)
{
	static const enum warm_state drawn[][2] = {
	    {WARM_NONE, WARM_LOADING},	   {WARM_LOADING, WARM_LOADED},
	    {WARM_LOADING, WARM_FAILED},   {WARM_LOADING, WARM_UNLOADING},
	    {WARM_LOADED, WARM_UNLOADING}, {WARM_LOADED, WARM_FAILED},
	    {WARM_UNLOADING, WARM_GONE},   {WARM_FAILED, WARM_GONE},
	};
	(void)state;
	for (int from = WARM_NONE; from <= WARM_GONE; from++)
		for (int to = WARM_NONE; to <= WARM_GONE; to++) {
			bool expected = false;
			for (size_t i = 0; i < ARRAY_LEN(drawn); i++)
				expected = expected ||
					   ((int)drawn[i][0] == from && (int)drawn[i][1] == to);
			assert_int_equal(warm_can_move((enum warm_state)from, (enum warm_state)to),
					 expected);
		}
}

static void an_impossible_move_ends_the_program(void **state)
{
	struct lab *l = *state;
	struct server s = {.host = l->host, .state = WARM_GONE};
	s.spec.s.engine = s.spec.s.model = "x";
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		warm_move(&s, WARM_LOADED);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- going well ---- */

static void loads_serves_and_stays(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_fault(l, "load_s", "0.2");
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, *lab_state(l, "m"));
	assert_string_equal(lab_state(l, "m"), "loading");
	LAB_UNTIL(l, a.ready);
	assert_string_equal(lab_state(l, "m"), "loaded");
	assert_true(a.fresh);
	assert_true(a.loading > 1);
	assert_true(a.fraction == 1);
	assert_true(fs_exists(a.dir));
	int pid = lease_pid(a.lease);
	assert_true(pid > 0);
	job_end(&a, LEASE_GOOD);
	job_run(l, "m", 0, &b);
	assert_false(b.fresh);
	assert_int_equal(b.loading, 0);
	assert_int_equal(lab_diary(l, "start"), 1);
	assert_int_equal(lab_diary(l, "job"), 1);
	json_t *all = host_status(l->host);
	assert_int_equal(json_array_size(all), 1);
	const json_t *one = json_array_get(all, 0);
	assert_string_equal(json_string_value(json_object_get(one, "engine")), "fake");
	assert_string_equal(json_string_value(json_object_get(one, "model")), "m");
	assert_string_equal(json_string_value(json_object_get(one, "state")), "loaded");
	assert_int_equal(json_integer_value(json_object_get(one, "pid")), pid);
	assert_int_equal(json_integer_value(json_object_get(one, "jobs")), 0);
	json_decref(all);
}

static void an_idle_server_goes_in_time_and_leaves_nothing(void **state)
{
	struct lab *l = *state;
	struct job a;
	job_run(l, "m", 0, &a);
	assert_true(fs_exists(a.dir));
	lab_live(l, 300);
	assert_string_equal(lab_state(l, "m"), "loaded");
	host_configure(l->host, &(struct host_limits){.idle_ms = 400, .memory_bytes = GIB});
	LAB_UNTIL(l, strcmp(lab_state(l, "m"), "unloading") == 0);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_false(fs_exists(a.dir));
	assert_int_equal(lab_folders(l), 0);
	assert_int_equal(lab_processes(l), 0);
}

/* A llama-server that is told to end while it generates can deadlock on its first SIGTERM. */
static void an_idle_server_that_hangs_on_sigterm_is_killed(void **state)
{
	struct lab *l = *state;
	struct job a;
	lab_fault(l, "ignore_term", "");
	job_run(l, "m", 0, &a);
	uint64_t begin = clock_now(&l->loop.clock);
	host_configure(l->host, &(struct host_limits){.idle_ms = 1, .memory_bytes = GIB});
	LAB_UNTIL(l, strcmp(lab_state(l, "m"), "unloading") == 0);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_true(clock_now(&l->loop.clock) - begin < 3000);
	assert_int_equal(lab_processes(l), 0);
}

static void a_server_that_is_leased_is_not_idle(void **state)
{
	struct lab *l = *state;
	struct job a;
	host_configure(l->host, &(struct host_limits){.idle_ms = 50, .memory_bytes = GIB});
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	host_unload_idle(l->host);
	lab_live(l, 300);
	assert_string_equal(lab_state(l, "m"), "loaded");
	job_end(&a, LEASE_GOOD);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_int_equal(a.died, 0);
}

static void one_lane_is_a_queue_in_order(void **state)
{
	struct lab *l = *state;
	struct job j[3];
	for (int i = 0; i < 3; i++)
		job_start(l, &j[i], "m", 0);
	for (int i = 0; i < 3; i++) {
		LAB_UNTIL(l, j[i].ready);
		lab_live(l, 50);
		for (int k = i + 1; k < 3; k++)
			assert_int_equal(j[k].ready, 0);
		job_end(&j[i], LEASE_GOOD);
	}
	assert_int_equal(lab_diary(l, "start"), 1);
}

static void lanes_run_beside_each_other(void **state)
{
	struct lab *l = *state;
	const char *argv[12];
	struct warm_spec spec;
	struct job j[4];
	lab_spec(l, "m", 0, argv, &spec);
	spec.lanes = 3;
	for (int i = 0; i < 4; i++)
		job_start_spec(l, &j[i], &spec);
	LAB_UNTIL(l, j[0].ready && j[1].ready && j[2].ready);
	lab_live(l, 50);
	assert_int_equal(j[3].ready, 0);
	job_end(&j[1], LEASE_GOOD);
	LAB_UNTIL(l, j[3].ready);
	job_end(&j[0], LEASE_GOOD);
	job_end(&j[2], LEASE_GOOD);
	job_end(&j[3], LEASE_GOOD);
	assert_int_equal(lab_diary(l, "start"), 1);
}

static void another_environment_or_argument_is_another_server(void **state)
{
	struct lab *l = *state;
	const char *argv[12], *env[] = {"EXTRA=1", NULL};
	struct warm_spec spec;
	struct job a, b, c;
	job_start(l, &a, "m", 0);
	lab_spec(l, "m", 0, argv, &spec);
	spec.env = env;
	job_start_spec(l, &b, &spec);
	job_start(l, &c, "n", 0);
	LAB_UNTIL(l, a.ready && b.ready && c.ready);
	assert_int_equal(lab_servers(l), 3);
	assert_int_not_equal(lease_pid(a.lease), lease_pid(b.lease));
	job_end(&a, LEASE_GOOD);
	job_end(&b, LEASE_GOOD);
	job_end(&c, LEASE_GOOD);
}

/* By a new file under the name, as everybody does who replaces a model. */
static void replace(struct lab *l, const char *path, const char *text)
{
	auto_free char *new = fs_join(l->dir, "new");
	lab_put(l->dir, "new", "%s", text);
	assert_int_equal(rename(new, path), 0);
}

static void job_of_file(struct lab *l, struct job *j, const char *path)
{
	const char *argv[12], *files[] = {path, NULL};
	struct warm_spec spec;
	lab_spec(l, "m", 0, argv, &spec);
	spec.files = files;
	job_start_spec(l, j, &spec);
	LAB_UNTIL(l, j->ready || j->died);
	assert_int_equal(j->ready, 1);
}

static void a_replaced_model_is_another_server(void **state)
{
	struct lab *l = *state;
	struct job a, b, c;
	auto_free char *path = fs_join(l->dir, "model");
	replace(l, path, "old");
	job_of_file(l, &a, path);
	int pid = lease_pid(a.lease);
	job_end(&a, LEASE_GOOD);
	job_of_file(l, &a, path);
	assert_int_equal(lease_pid(a.lease), pid);
	job_end(&a, LEASE_GOOD);
	replace(l, path, "new"); /* of the same size */
	job_of_file(l, &b, path);
	assert_true(b.fresh);
	assert_int_not_equal(lease_pid(b.lease), pid);
	assert_int_equal(lab_servers(l), 1);
	/* Who works goes on, and is no server for the next. */
	replace(l, path, "newest");
	job_of_file(l, &c, path);
	assert_true(c.fresh);
	assert_int_equal(b.died, 0);
	assert_int_equal(lab_servers(l), 2);
	job_end(&b, LEASE_GOOD);
	LAB_UNTIL(l, lab_servers(l) == 1);
	assert_true(lease_pid(c.lease) > 0);
	job_end(&c, LEASE_GOOD);
	lab_live(l, 50);
	assert_string_equal(lab_state(l, "m"), "loaded");
}

static void lines_go_to_those_at_work(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	struct got g;
	job_start(l, &a, "m", 0);
	job_start(l, &b, "m", 0);
	LAB_UNTIL(l, a.ready);
	unsigned loading = b.lines;
	assert_true(loading >= 4); /* while it loads, both */
	job_ask(&a, "hello", &g);
	LAB_UNTIL(l, g.done && strcmp(a.last_line, "job hello") == 0);
	assert_int_equal(b.lines, loading);
	job_end(&a, LEASE_GOOD);
	LAB_UNTIL(l, b.ready);
	job_end(&b, LEASE_GOOD);
}

static void model_files_are_in_use_while_a_server_has_them(void **state)
{
	struct lab *l = *state;
	const char *argv[12], *files[] = {"/models/a", "/models/b", NULL};
	struct warm_spec spec;
	struct job a;
	lab_spec(l, "m", 0, argv, &spec);
	spec.files = files;
	assert_false(host_uses(l->host, "/models/b"));
	job_start_spec(l, &a, &spec);
	assert_true(host_uses(l->host, "/models/b"));
	assert_false(host_release_file(l->host, "/models/b")); /* a job waits for it */
	LAB_UNTIL(l, a.ready);
	assert_false(host_release_file(l->host, "/models/b")); /* works with it */
	job_end(&a, LEASE_GOOD);
	assert_true(host_uses(l->host, "/models/a"));
	assert_false(host_uses(l->host, "/models/c"));
	assert_false(host_release_file(l->host, "/models/c"));
	assert_true(host_release_file(l->host, "/models/b"));
	assert_true(host_release_file(l->host, "/models/b")); /* it is going */
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_false(host_uses(l->host, "/models/a"));
}

/* ---- not going well ---- */

static void an_exit_before_ready_fails(void **state)
{
	static const struct {
		const char *fault, *text;
	} rows[] = {
	    {"exit0", "fake ended with exit code 0 before it was ready: m: fault: ends at start"},
	    {"exit1", "fake ended with exit code 1 before it was ready: m: fault: ends at start"},
	};
	struct lab *l = *state;
	struct job a;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		lab_fault(l, rows[i].fault, "");
		job_start(l, &a, "m", 0);
		LAB_UNTIL(l, a.died);
		assert_true(a.retryable);
		if (!strstr(a.err.text, rows[i].text))
			fail_msg("\"%s\"", a.err.text);
		LAB_UNTIL(l, lab_servers(l) == 0);
		assert_int_equal(lab_folders(l), 0);
		lab_mend(l, rows[i].fault);
	}
	assert_int_equal(lab_diary(l, "start"), 2); /* it tries nothing again by itself */
}

static void the_first_error_line_is_named(void **state)
{
	struct lab *l = *state;
	struct job a;
	lab_fault(l, "say",
		  "ggml_init: nothing yet\n[WARN ] loading failed\n[ERROR] the real "
		  "reason\n[ERROR] another");
	lab_fault(l, "exit1", "");
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.died);
	assert_non_null(strstr(a.err.text, "ready: [ERROR] the real reason"));
}

static void one_that_never_gets_ready_is_killed_at_its_deadline(void **state)
{
	struct lab *l = *state;
	const char *argv[12];
	struct warm_spec spec;
	struct job a;
	lab_fault(l, "never_ready", "");
	lab_fault(l, "ignore_term", "");
	lab_spec(l, "m", 0, argv, &spec);
	spec.load_ms = 700;
	job_start_spec(l, &a, &spec);
	LAB_UNTIL(l, a.died);
	assert_string_equal(lab_state(l, "m"), "failed");
	assert_non_null(strstr(a.err.text, "was not ready after 700 ms"));
	assert_true(a.retryable);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_int_equal(lab_processes(l), 0);
}

static void a_missing_program_is_not_worth_a_second_try(void **state)
{
	struct lab *l = *state;
	const char *argv[12];
	struct warm_spec spec;
	struct job a;
	lab_spec(l, "m", 0, argv, &spec);
	spec.program = "/no/such/program";
	job_start_spec(l, &a, &spec);
	LAB_UNTIL(l, a.died);
	assert_false(a.retryable);
	assert_non_null(strstr(a.err.text, "/no/such/program"));
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_int_equal(lab_folders(l), 0);
}

static void nobody_waits_for_it_any_more_so_it_goes(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_fault(l, "load_s", "20");
	job_start(l, &a, "m", 0);
	job_start(l, &b, "m", 0);
	LAB_UNTIL(l, a.fraction > 0 && b.fraction > 0);
	job_end(&a, LEASE_GOOD);
	lab_live(l, 100);
	assert_string_equal(lab_state(l, "m"), "loading");
	job_end(&b, LEASE_GOOD);
	assert_string_equal(lab_state(l, "m"), "unloading");
	LAB_UNTIL(l, lab_servers(l) == 0);
}

static void death_is_told_to_all_and_a_new_one_is_fresh(void **state)
{
	struct lab *l = *state;
	const char *argv[12];
	struct warm_spec spec;
	struct job a, b, c;
	struct got g;
	lab_spec(l, "m", 0, argv, &spec);
	lab_fault(l, "die", "1");
	job_start_spec(l, &a, &spec);
	job_start_spec(l, &b, &spec);
	LAB_UNTIL(l, a.ready);
	job_ask(&a, "hello", &g);
	LAB_UNTIL(l, a.died && b.died && g.done);
	secret_clear(&a.key);
	assert_true(a.retryable && b.retryable);
	assert_non_null(strstr(a.err.text, "was ended by signal 11 (Segmentation fault): [ERROR] "
					   "fault: the engine's own first error line"));
	job_run(l, "m", 0, &c);
	assert_true(c.fresh);
	assert_int_equal(lab_diary(l, "start"), 2);
}

static void a_broken_one_is_killed_whatever_it_does_with_sigterm(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_fault(l, "ignore_term", "1");
	lab_fault(l, "fork", "1");
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	assert_int_equal(lab_processes(l), 2);
	uint64_t begin = clock_now(&l->loop.clock);
	job_end(&a, LEASE_BROKEN);
	assert_string_equal(lab_state(l, "m"), "failed");
	job_run(l, "m", 0, &b);
	assert_true(b.fresh);
	assert_true(clock_now(&l->loop.clock) - begin < 5000);
	assert_int_equal(lab_servers(l), 1);
	assert_int_equal(lab_processes(l), 1);
	assert_true(lab_said(l, "killed 1 process it had left behind"));
}

static void an_idle_one_may_die_unnoticed(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	int pid = lease_pid(a.lease);
	job_end(&a, LEASE_GOOD);
	kill(pid, SIGKILL);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_true(lab_said(l, "ended by signal 9"));
	job_run(l, "m", 0, &b);
	assert_true(b.fresh);
}

static void a_port_that_was_taken_is_tried_once_on_another(void **state)
{
	struct lab *l = *state;
	struct job a;
	lab_fault(l, "steal", "1");
	job_run(l, "m", 0, &a);
	assert_int_equal(lab_diary(l, "start"), 2);
	assert_true(lab_said(l, "was taken meanwhile"));
	host_unload_idle(l->host);
	LAB_UNTIL(l, lab_servers(l) == 0);
	lab_fault(l, "steal", "");
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.died);
	assert_int_equal(lab_diary(l, "start"), 4);
	assert_non_null(strstr(a.err.text, "cannot bind the port"));
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_int_equal(lab_processes(l), 0);
}

/* ---- the end of the program ---- */

static void host_free_leaves_nothing_and_leases_can_still_be_ended(void **state)
{
	struct lab *l = *state;
	struct job a, b, c;
	lab_fault(l, "fork", "1");
	job_run(l, "n", 0, &c);
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	lab_fault(l, "load_s", "20");
	job_start(l, &b, "o", 0);
	LAB_UNTIL(l, b.fraction > 0);
	assert_int_equal(lab_processes(l), 4);
	host_free(l->host);
	l->host = NULL;
	assert_int_equal(lab_processes(l), 0);
	assert_int_equal(a.died + b.died, 0);
	job_end(&a, LEASE_GOOD);
	job_end(&b, LEASE_BROKEN);
	assert_int_equal(lab_folders(l), 0);
}

static void what_the_settling_loop_kills_is_not_started_again(void **state)
{
	struct lab *l = *state;
	struct job a;
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.ready);
	loop_settle(&l->loop);
	secret_clear(&a.key);
	assert_int_equal(a.died, 1);
	assert_int_equal(a.err.code, ECANCELED);
	job_start(l, &a, "m", 0);
	LAB_UNTIL(l, a.died);
	assert_int_equal(a.err.code, ECANCELED);
	assert_int_equal(lab_diary(l, "start"), 1);
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_the_drawn_moves_are_possible),
	    WITH_LAB(an_impossible_move_ends_the_program),
	    WITH_LAB(loads_serves_and_stays),
	    WITH_LAB(an_idle_server_goes_in_time_and_leaves_nothing),
	    WITH_LAB(an_idle_server_that_hangs_on_sigterm_is_killed),
	    WITH_LAB(a_server_that_is_leased_is_not_idle),
	    WITH_LAB(one_lane_is_a_queue_in_order),
	    WITH_LAB(lanes_run_beside_each_other),
	    WITH_LAB(another_environment_or_argument_is_another_server),
	    WITH_LAB(a_replaced_model_is_another_server),
	    WITH_LAB(lines_go_to_those_at_work),
	    WITH_LAB(model_files_are_in_use_while_a_server_has_them),
	    WITH_LAB(an_exit_before_ready_fails),
	    WITH_LAB(the_first_error_line_is_named),
	    WITH_LAB(one_that_never_gets_ready_is_killed_at_its_deadline),
	    WITH_LAB(a_missing_program_is_not_worth_a_second_try),
	    WITH_LAB(nobody_waits_for_it_any_more_so_it_goes),
	    WITH_LAB(death_is_told_to_all_and_a_new_one_is_fresh),
	    WITH_LAB(a_broken_one_is_killed_whatever_it_does_with_sigterm),
	    WITH_LAB(an_idle_one_may_die_unnoticed),
	    WITH_LAB(a_port_that_was_taken_is_tried_once_on_another),
	    WITH_LAB(host_free_leaves_nothing_and_leases_can_still_be_ended),
	    WITH_LAB(what_the_settling_loop_kills_is_not_started_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
