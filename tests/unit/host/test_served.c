/* test_served.c - one job on a warm server: tried twice, never longer than it may take, cancelled
 * in time. SPDX-License-Identifier: MIT */
#include <sys/resource.h>

#include "host_lab.h"

struct run { /* a driver reduced to one question */
	struct lab *lab;
	struct served *served;
	struct fetch *fetch;
	char question[64], answer[600];
	struct secret key;
	unsigned asked, abandoned, good, failed, lines;
	bool refuse, fresh[2];
	struct err err;
	bool retryable;
};

static void run_reply(void *arg, const struct fetch_reply *r)
{
	struct run *run = arg;
	run->fetch = NULL;
	snprintf(run->answer, sizeof run->answer, "%.500s", r->body ? r->body : "");
	if (r->status == 200 && strchr(run->answer, ':')) {
		run->good++;
		if (run->refuse)
			served_refused(steal(&run->served));
		else
			served_good(steal(&run->served));
		return;
	}
	struct err e = ERR_INIT;
	if (r->status == 200)
		err_set(&e, EPROTO, "fake answered garbage");
	served_broken(run->served, r->status == 200 ? &e : &r->err);
}

static void run_ask(void *arg, const struct warm *w)
{
	struct run *run = arg;
	auto_free char *url = xasprintf("%s/job", w->base_url);
	struct fetch_request r = {
	    .url = url, .bearer = w->key, .body = run->question, .body_len = strlen(run->question)};
	assert_null(run->fetch);
	if (run->asked < 2)
		run->fresh[run->asked] = w->fresh;
	run->asked++;
	run->fetch = fetch_whole(run->lab->net, &r, 1u << 20, run_reply, run);
}

static void run_abandon(void *arg)
{
	struct run *run = arg;
	run->abandoned++;
	fetch_cancel(run->fetch);
	run->fetch = NULL;
}

static void run_line(void *arg, int fd, const char *line)
{
	struct run *run = arg;
	(void)fd;
	(void)line;
	run->lines++;
}

static void run_failed(void *arg, const struct err *err, bool retryable)
{
	struct run *run = arg;
	assert_null(run->fetch);
	run->failed++;
	run->served = NULL;
	run->err = *err;
	run->retryable = retryable;
}

static void run_spec(struct lab *l, struct run *run, const char *model, const char *question,
		     uint64_t silence_ms, uint64_t total_ms)
{
	static const struct served_ops ops = {
	    .ask = run_ask, .abandon = run_abandon, .line = run_line, .failed = run_failed};
	const char *argv[12];
	struct served_spec spec = {
	    .job_id = "job-1", .silence_ms = silence_ms, .total_ms = total_ms};
	lab_spec(l, model, 0, argv, &spec.warm);
	*run = (struct run){.lab = l};
	snprintf(run->question, sizeof run->question, "%s", question);
	run->served = served_start(l->host, &l->loop.clock, &l->log, &spec, &ops, run);
}

static void run_start(struct lab *l, struct run *run, const char *question)
{
	run_spec(l, run, "m", question, 0, 0);
}

static void a_good_answer_keeps_the_server_warm(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "one");
	LAB_UNTIL(l, run.good || run.failed);
	assert_string_equal(run.answer, "m: one");
	assert_true(run.fresh[0]);
	run_start(l, &run, "two");
	run.refuse = true;
	LAB_UNTIL(l, run.good || run.failed);
	assert_string_equal(run.answer, "m: two");
	assert_false(run.fresh[0]);
	lab_live(l, 50);
	assert_int_equal(run.failed + run.abandoned, 0);
	assert_string_equal(lab_state(l, "m"), "loaded");
	assert_int_equal(lab_diary(l, "start"), 1);
	assert_true(lab_said(l, "info engine: fake: job two"));
}

/* A row of the fault table, struck once: the second server does it. Struck always: it fails. */
static void retried_once(struct lab *l, const char *fault, uint64_t silence_ms, const char *words)
{
	struct run run;
	unsigned starts = lab_diary(l, "start");
	lab_fault(l, fault, "1");
	run_spec(l, &run, "m", "hello", silence_ms, 0);
	LAB_UNTIL(l, run.good || run.failed);
	if (run.failed)
		fail_msg("%s: %s", fault, run.err.text);
	assert_string_equal(run.answer, "m: hello");
	assert_true(run.fresh[0]);
	assert_int_equal(lab_diary(l, "start") - starts, 2);
	assert_true(lab_said(l, "trying once more on a fresh engine"));
	host_unload_idle(l->host);
	LAB_UNTIL(l, lab_servers(l) == 0);
	lab_fault(l, fault, "");
	run_spec(l, &run, "m", "hello", silence_ms, 0);
	LAB_UNTIL(l, run.good || run.failed);
	assert_int_equal(run.failed, 1);
	assert_true(run.retryable);
	/* All of it: "job hello", which it printed before on stderr, is no error. */
	if (words && strcmp(run.err.text, words) != 0)
		fail_msg("%s: \"%s\" is not \"%s\"", fault, run.err.text, words);
	assert_int_equal(lab_diary(l, "start") - starts, 4);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_int_equal(lab_processes(l), 0);
	lab_mend(l, fault);
}

static void an_exit_at_start_is_retried_once(void **state)
{
	struct lab *l = *state;
	struct run run;
	lab_fault(l, "exit1", "1");
	run_start(l, &run, "hello");
	LAB_UNTIL(l, run.good);
	lab_fault(l, "exit0", "");
	host_unload_idle(l->host);
	run_start(l, &run, "hello");
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.asked + run.abandoned, 0);
	assert_string_equal(run.err.text, "fake ended with exit code 0 before it was ready: m: "
					  "fault: ends at start with 0");
	assert_int_equal(lab_diary(l, "start"), 4);
}

static void a_death_mid_job_is_retried_once(void **state)
{
	retried_once(
	    *state, "die", 0,
	    "fake was ended by signal 11 (Segmentation fault): [ERROR] fault: the engine's "
	    "own first error line");
}

static void silence_is_retried_once(void **state)
{
	retried_once(*state, "hang", 400, "fake gave no sign of life for 400 ms");
}

static void garbage_is_retried_once(void **state)
{
	retried_once(*state, "garbage", 0, "fake answered garbage");
}

static void a_huge_answer_is_retried_once(void **state)
{
	retried_once(*state, "huge", 0, NULL);
}

static void signs_of_life_put_the_silence_off_but_not_the_end(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_spec(l, &run, "m", "sleep 60 x", 200, 900);
	LAB_UNTIL(l, run.asked);
	uint64_t begin = clock_now(&l->loop.clock);
	while (run.asked == 1) {
		served_alive(run.served);
		lab_live(l, 20);
	}
	uint64_t took = clock_now(&l->loop.clock) - begin;
	assert_true(took > 850 && took < 5000);
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.asked, 2);
	assert_int_equal(run.abandoned, 2);
	assert_non_null(strstr(run.err.text, "gave no sign of life for 200 ms"));
	assert_true(lab_said(l, "fake was not done after 900 ms; trying once more"));
}

static void deadlines_are_scaled(void **state)
{
	struct lab *l = *state;
	struct run run;
	host_free(l->host);
	l->deadline_scale = 0.001;
	lab_host(l);
	run_spec(l, &run, "m", "sleep 60 x", 0, 300000);
	/* load_ms is 20 s, so 20 ms are left of it, which is too little for Python. */
	LAB_UNTIL(l, run.failed);
	assert_non_null(strstr(run.err.text, "fake was not ready after 20 ms"));
}

static void cancelled_without_a_kill_the_server_stays(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "sleep 0.2 x");
	LAB_UNTIL(l, run.asked);
	uint64_t begin = clock_now(&l->loop.clock);
	served_cancel(run.served, false);
	assert_int_equal(run.failed, 0);
	LAB_UNTIL(l, run.failed);
	assert_true(clock_now(&l->loop.clock) - begin < 1000);
	assert_int_equal(run.err.code, ECANCELED);
	assert_false(run.retryable);
	assert_int_equal(run.abandoned, 1);
	assert_string_equal(lab_state(l, "m"), "loaded");
	run_start(l, &run, "next");
	LAB_UNTIL(l, run.good);
	assert_int_equal(lab_diary(l, "start"), 1);
}

static void cancelled_with_a_kill_it_goes_though_it_ignores_sigterm(void **state)
{
	struct lab *l = *state;
	struct run run;
	lab_fault(l, "ignore_term", "");
	run_start(l, &run, "sleep 60 x");
	LAB_UNTIL(l, run.asked && lab_diary(l, "start") == 1);
	uint64_t begin = clock_now(&l->loop.clock);
	served_cancel(run.served, true);
	LAB_UNTIL(l, run.failed);
	LAB_UNTIL(l, lab_servers(l) == 0);
	assert_true(clock_now(&l->loop.clock) - begin < 3000);
	assert_int_equal(run.err.code, ECANCELED);
	assert_int_equal(run.abandoned, 1);
	assert_int_equal(lab_processes(l), 0);
}

static void cancelled_while_it_loads_it_is_not_loaded_on(void **state)
{
	struct lab *l = *state;
	struct run run;
	lab_fault(l, "load_s", "30");
	run_start(l, &run, "hello");
	LAB_UNTIL(l, run.lines);
	served_cancel(run.served, true);
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.err.code, ECANCELED);
	assert_int_equal(run.abandoned, 0);
	LAB_UNTIL(l, lab_servers(l) == 0);
}

static void cancelled_at_once_nothing_starts(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "hello");
	served_cancel(run.served, true);
	LAB_UNTIL(l, run.failed);
	lab_live(l, 100);
	assert_int_equal(run.failed, 1);
	assert_int_equal(lab_servers(l), 0);
}

static void cancelled_after_it_broke_the_server_goes_all_the_same(void **state)
{
	struct lab *l = *state;
	struct run run;
	struct err why = ERR_INIT;
	run_start(l, &run, "sleep 60 x");
	LAB_UNTIL(l, run.asked);
	err_set(&why, EPROTO, "garbage");
	served_broken(run.served, &why);
	served_cancel(run.served, false);
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.err.code, ECANCELED);
	assert_string_not_equal(lab_state(l, "m"), "loaded");
	LAB_UNTIL(l, lab_servers(l) == 0);
}

static void cancelled_on_the_second_try_the_second_server_stays(void **state)
{
	struct lab *l = *state;
	struct run run;
	lab_fault(l, "garbage", "1");
	run_start(l, &run, "sleep 0.2 x");
	LAB_UNTIL(l, run.asked == 2);
	served_cancel(run.served, false);
	LAB_UNTIL(l, run.failed);
	LAB_UNTIL(l, lab_servers(l) == 1);
	assert_string_equal(lab_state(l, "m"), "loaded");
}

static void a_server_that_dies_after_the_cancellation_is_not_replaced(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "sleep 60 x");
	LAB_UNTIL(l, run.asked);
	served_cancel_within(run.served, 20000);
	kill(lease_pid(list_entry(l->host->leases.head.next, struct lease, node)), SIGKILL);
	LAB_UNTIL(l, run.failed || lab_diary(l, "start") > 1);
	assert_int_equal(lab_diary(l, "start"), 1);
	assert_int_equal(run.err.code, ECANCELED);
	assert_false(run.retryable);
}

static void a_server_that_may_drop_the_job_has_the_time_it_was_given(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_spec(l, &run, "m", "sleep 60 x", 200, 300);
	LAB_UNTIL(l, run.asked);
	served_cancel_within(run.served, 600);
	lab_live(l, 400); /* its silence says nothing now */
	assert_int_equal(run.failed, 0);
	served_cancel(run.served, false);
	LAB_UNTIL(l, run.failed);
	assert_string_equal(lab_state(l, "m"), "loaded");
	run_start(l, &run, "sleep 60 x");
	LAB_UNTIL(l, run.asked);
	served_cancel_within(run.served, 50);
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.err.code, ECANCELED);
	assert_string_equal(lab_state(l, "m"), "failed");
	LAB_UNTIL(l, lab_servers(l) == 0);
}

static void no_room_for_the_time_being_is_not_tried_again_at_once(void **state)
{
	struct lab *l = *state;
	struct run run;
	static const struct served_ops ops = {.ask = run_ask, .failed = run_failed};
	const char *argv[12];
	struct served_spec spec = {.job_id = "job-1"};
	lab_gpu(l, 16 * GIB);
	lab_others(l, 12 * GIB);
	lab_spec(l, "m", 8 * GIB, argv, &spec.warm);
	run = (struct run){.lab = l};
	run.served = served_start(l->host, &l->loop.clock, &l->log, &spec, &ops, &run);
	LAB_UNTIL(l, run.failed);
	assert_int_equal(run.err.code, ENOMEM);
	assert_true(run.retryable);
	assert_false(lab_said(l, "trying once more"));
}

static void an_answer_may_come_just_before_the_cancellation(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "hello");
	LAB_UNTIL(l, run.asked);
	served_cancel(run.served, false);
	served_good(steal(&run.served));
	fetch_cancel(steal(&run.fetch));
	lab_live(l, 50);
	assert_int_equal(run.failed, 0);
}

static double cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long rss_kib(void)
{
	long pages = 0, size;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void a_gigabyte_of_output_costs_little_and_blocks_nothing(void **state)
{
	struct lab *l = *state;
	struct run run;
	run_start(l, &run, "warm up");
	LAB_UNTIL(l, run.good);
	long before = rss_kib();
	double cpu = cpu_s();
	lab_fault(l, "flood", "1");
	run_start(l, &run, "hello");
	LAB_UNTIL(l, run.good || run.failed);
	cpu = cpu_s() - cpu;
	assert_string_equal(run.answer, "m: hello");
	print_message("a flood of 1 GB: %.1f s of processor time, %ld KiB more\n", cpu,
		      rss_kib() - before);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(cpu < 10);
	assert_true(rss_kib() - before < 4096);
#endif
	assert_true(lab_said(l, "more than 200 lines of output, the rest is left out"));
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_LAB(a_good_answer_keeps_the_server_warm),
	    WITH_LAB(an_exit_at_start_is_retried_once),
	    WITH_LAB(a_death_mid_job_is_retried_once),
	    WITH_LAB(silence_is_retried_once),
	    WITH_LAB(garbage_is_retried_once),
	    WITH_LAB(a_huge_answer_is_retried_once),
	    WITH_LAB(signs_of_life_put_the_silence_off_but_not_the_end),
	    WITH_LAB(deadlines_are_scaled),
	    WITH_LAB(cancelled_without_a_kill_the_server_stays),
	    WITH_LAB(cancelled_with_a_kill_it_goes_though_it_ignores_sigterm),
	    WITH_LAB(cancelled_while_it_loads_it_is_not_loaded_on),
	    WITH_LAB(cancelled_at_once_nothing_starts),
	    WITH_LAB(cancelled_after_it_broke_the_server_goes_all_the_same),
	    WITH_LAB(cancelled_on_the_second_try_the_second_server_stays),
	    WITH_LAB(a_server_that_dies_after_the_cancellation_is_not_replaced),
	    WITH_LAB(a_server_that_may_drop_the_job_has_the_time_it_was_given),
	    WITH_LAB(no_room_for_the_time_being_is_not_tried_again_at_once),
	    WITH_LAB(an_answer_may_come_just_before_the_cancellation),
	    WITH_LAB(a_gigabyte_of_output_costs_little_and_blocks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
