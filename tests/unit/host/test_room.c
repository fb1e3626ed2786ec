/* test_room.c - GPU memory: who is admitted, who goes for whom, and that it all comes back.
 * SPDX-License-Identifier: MIT */
#include "host_lab.h"

static void limits(struct lab *l, uint64_t memory, uint64_t margin)
{
	host_configure(l->host, &(struct host_limits){.idle_ms = 60000,
						      .memory_bytes = memory,
						      .margin_bytes = margin});
}

static void takes(struct lab *l, uint64_t bytes)
{
	auto_free char *text = xasprintf("%llu", (unsigned long long)bytes);
	lab_fault(l, "memory", text);
}

static uint64_t tenths(unsigned n)
{
	return GIB / 10 * n;
}

/* ---- admission ---- */

/* All in tenths of a GiB. */
struct row {
	unsigned total, others, lends, margin; /* the machine; total 0: no probe */
	unsigned idle, leased, takes;	       /* own servers' estimates, and what each takes */
	unsigned needs;
	const char *refusal; /* NULL: admitted */
};

static void check_row(struct lab *l, const struct row *r)
{
	struct job idle, leased = {0};
	struct err e = ERR_INIT;
	if (r->total) {
		lab_gpu(l, tenths(r->total));
		lab_others(l, tenths(r->others));
	}
	limits(l, tenths(r->lends), tenths(r->margin));
	takes(l, tenths(r->takes));
	if (r->idle)
		job_run(l, "idle", tenths(r->idle), &idle);
	if (r->leased) {
		job_start(l, &leased, "leased", tenths(r->leased));
		LAB_UNTIL(l, leased.ready || leased.died);
		assert_int_equal(leased.ready, 1);
	}
	if (r->total)
		lab_live(l, 50); /* what was taken shows */
	int rc = host_admit(l->host, tenths(r->needs), &e);
	assert_int_equal(rc, r->refusal ? -ENOMEM : 0);
	if (r->refusal && !strstr(e.text, r->refusal))
		fail_msg("\"%s\" lacks \"%s\"", e.text, r->refusal);
	/* Nothing was unloaded by asking. */
	assert_string_equal(lab_state(l, "idle"), r->idle ? "loaded" : "");
	job_end(&leased, LEASE_GOOD);
	host_unload_idle(l->host);
	LAB_UNTIL(l, lab_servers(l) == 0);
}

static void admission_is_a_table(void **state)
{
	static const struct row rows[] = {
	    /* no probe: the owner alone decides, over the estimates */
	    {0, 0, 100, 5, 0, 0, 0, 100, NULL},
	    {0, 0, 100, 5, 0, 0, 0, 101,
	     "it needs 10.1 GB of GPU memory, but the owner lends 10.0"},
	    {0, 0, 100, 5, 60, 0, 0, 100, NULL},
	    {0, 0, 100, 5, 0, 60, 0, 40, NULL},
	    {0, 0, 100, 5, 0, 60, 0, 41,
	     "but 6.0 GB of the 10.0 GB that the owner lends are in use"},
	    {0, 0, 100, 5, 30, 60, 0, 40, NULL},
	    /* a probe: what is free now, less the margin, and what idle servers hold */
	    {160, 0, 1000, 5, 0, 0, 0, 155, NULL},
	    {160, 0, 1000, 5, 0, 0, 0, 156,
	     "but the GPU has 16.0 GB, of which 0.5 GB are left alone"},
	    {160, 80, 1000, 5, 0, 0, 0, 75, NULL},
	    {160, 80, 1000, 5, 0, 0, 0, 76,
	     "only 7.5 GB are free or held by idle engines, beside 0.5"},
	    {160, 80, 1000, 5, 40, 0, 40, 75, NULL},
	    {160, 80, 1000, 5, 40, 0, 40, 76, "only 7.5 GB are free"},
	    {160, 20, 1000, 5, 0, 40, 40, 95, NULL},
	    {160, 20, 1000, 5, 0, 40, 40, 96, "only 9.5 GB are free"},
	    /* an idle server that took more or less than its offer said */
	    {160, 20, 1000, 5, 20, 0, 40, 135, NULL},
	    {160, 20, 1000, 5, 60, 0, 40, 135, NULL},
	    {160, 20, 1000, 5, 60, 0, 40, 136, "only 13.5 GB are free"},
	    /* one at work that is yet to take what it will */
	    {160, 20, 1000, 5, 0, 60, 10, 75, NULL},
	    {160, 20, 1000, 5, 0, 60, 10, 76, "only 7.5 GB are free"},
	    /* the owner lends less than the GPU has */
	    {160, 0, 80, 5, 0, 0, 0, 81, "the owner lends 8.0 GB"},
	    /* nothing needed is always there */
	    {160, 160, 10, 5, 0, 0, 0, 0, NULL},
	};
	struct lab *l = *state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		print_message("row %zu\n", i);
		check_row(l, &rows[i]);
	}
}

static void a_total_that_somebody_declared_is_shared_by_estimates(void **state)
{
	struct lab *l = *state;
	struct job a;
	struct err e = ERR_INIT;
	setenv("STUDIO_WORKER_VRAM_GB", "16", 1);
	job_start(l, &a, "a", 10 * GIB);
	LAB_UNTIL(l, a.ready);
	assert_int_equal(host_admit(l->host, 6 * GIB, &e), -ENOMEM);
	assert_int_equal(host_admit(l->host, 5 * GIB, &e), 0);
	job_end(&a, LEASE_GOOD);
	assert_int_equal(host_admit(l->host, 15 * GIB, &e), 0);
	job_run(l, "b", 15 * GIB, &a);
	assert_int_equal(lab_servers(l), 1);
	unsetenv("STUDIO_WORKER_VRAM_GB");
}

/* ---- making room ---- */

static void the_least_recently_used_goes_and_no_more_than_needed(void **state)
{
	struct lab *l = *state;
	struct job j;
	lab_gpu(l, 16 * GIB);
	takes(l, 4 * GIB);
	job_run(l, "a", 4 * GIB, &j);
	job_run(l, "b", 4 * GIB, &j);
	job_run(l, "c", 4 * GIB, &j);
	job_run(l, "a", 4 * GIB, &j);
	assert_int_equal(lab_diary(l, "start"), 3);
	job_run(l, "d", 4 * GIB, &j);
	assert_string_equal(lab_state(l, "b"), "");
	assert_string_equal(lab_state(l, "a"), "loaded");
	assert_string_equal(lab_state(l, "c"), "loaded");
	takes(l, 8 * GIB);
	job_run(l, "e", 8 * GIB, &j);
	assert_string_equal(lab_state(l, "c"), "");
	assert_string_equal(lab_state(l, "a"), "");
	assert_string_equal(lab_state(l, "d"), "loaded");
}

static void servers_without_gpu_memory_are_left_alone(void **state)
{
	struct lab *l = *state;
	struct job j;
	lab_gpu(l, 8 * GIB);
	job_run(l, "cpu", 0, &j);
	takes(l, 6 * GIB);
	job_run(l, "a", 6 * GIB, &j);
	job_run(l, "b", 6 * GIB, &j);
	assert_string_equal(lab_state(l, "cpu"), "loaded");
	assert_string_equal(lab_state(l, "a"), "");
}

static void the_leased_are_never_unloaded_but_waited_for(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_gpu(l, 8 * GIB);
	takes(l, 6 * GIB);
	job_start(l, &a, "a", 6 * GIB);
	LAB_UNTIL(l, a.ready);
	job_start(l, &b, "b", 6 * GIB);
	lab_live(l, 300);
	assert_int_equal(b.ready + b.died, 0);
	assert_int_equal(b.loading, 1);
	assert_true(b.fraction < 0);
	assert_int_equal(a.died, 0);
	assert_string_equal(lab_state(l, "a"), "loaded");
	job_end(&a, LEASE_GOOD);
	LAB_UNTIL(l, b.ready);
	assert_string_equal(lab_state(l, "a"), "");
	job_end(&b, LEASE_GOOD);
}

static void who_waits_for_room_is_not_overtaken(void **state)
{
	struct lab *l = *state;
	struct job a, b, again;
	lab_gpu(l, 8 * GIB);
	takes(l, 6 * GIB);
	job_start(l, &a, "a", 6 * GIB);
	LAB_UNTIL(l, a.ready);
	job_start(l, &b, "b", 6 * GIB);
	job_start(l, &again, "a", 6 * GIB);
	lab_live(l, 50); /* it could have its turn as soon as the first one ends */
	job_end(&a, LEASE_GOOD);
	LAB_UNTIL(l, b.ready);
	assert_int_equal(again.ready, 0);
	job_end(&b, LEASE_GOOD);
	LAB_UNTIL(l, again.ready);
	job_end(&again, LEASE_GOOD);
	assert_int_equal(lab_diary(l, "start"), 3);
}

static void a_waiting_lease_may_be_ended(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_gpu(l, 8 * GIB);
	job_start(l, &a, "a", 6 * GIB);
	LAB_UNTIL(l, a.ready);
	job_start(l, &b, "b", 6 * GIB);
	lab_live(l, 50);
	job_end(&b, LEASE_GOOD);
	job_end(&a, LEASE_GOOD);
	lab_live(l, 50);
	assert_string_equal(lab_state(l, "a"), "loaded");
	assert_int_equal(lab_diary(l, "start"), 1);
}

static void what_cannot_fit_is_refused_before_anything_is_unloaded(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_gpu(l, 16 * GIB);
	takes(l, 4 * GIB);
	job_run(l, "a", 4 * GIB, &a);
	/* A game is started: its memory isn't taken for the idle server's. */
	lab_others(l, 8 * GIB);
	lab_live(l, 50);
	job_run(l, "a", 4 * GIB, &a);
	job_start(l, &b, "b", 10 * GIB);
	LAB_UNTIL(l, b.died);
	assert_true(b.retryable); /* once the game has ended */
	assert_int_equal(b.err.code, ENOMEM);
	assert_non_null(strstr(b.err.text, "fake: it needs 10.0 GB of GPU memory"));
	job_start(l, &b, "b", 17 * GIB);
	LAB_UNTIL(l, b.died);
	assert_false(b.retryable);
	assert_string_equal(lab_state(l, "a"), "loaded");
}

static void memory_is_seen_to_return_before_the_next_is_started(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_gpu(l, 8 * GIB);
	takes(l, 6 * GIB);
	job_run(l, "a", 6 * GIB, &a);
	lab_live(l, 50);
	l->stuck = true;
	job_start(l, &b, "b", 6 * GIB);
	LAB_UNTIL(l, lab_processes(l) == 0);
	lab_live(l, 500);
	assert_string_equal(lab_state(l, "a"), "unloading");
	assert_string_equal(lab_state(l, "b"), "");
	l->stuck = false;
	LAB_UNTIL(l, b.ready);
	assert_true(lab_said(l, "fake a: ended; 8.0 GB of GPU memory are free"));
	job_end(&b, LEASE_GOOD);
}

static void memory_that_never_returns_is_not_waited_for_for_ever(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	lab_gpu(l, 8 * GIB);
	takes(l, 6 * GIB);
	job_run(l, "a", 6 * GIB, &a);
	lab_live(l, 50);
	l->stuck = true;
	job_start(l, &b, "b", 6 * GIB);
	LAB_UNTIL(l, b.died);
	assert_true(b.retryable);
	assert_non_null(strstr(b.err.text, "only 1.5 GB are free"));
	assert_true(lab_said(l, "warn host: fake a: ended, but 2 s later 2.0 GB of GPU memory are "
				"free; before it was started there were 8.0 GB"));
}

static void less_lent_is_kept_to_from_the_next_on(void **state)
{
	struct lab *l = *state;
	struct job a, b;
	limits(l, 20 * GIB, 0);
	job_run(l, "a", 8 * GIB, &a);
	job_run(l, "b", 8 * GIB, &b);
	assert_int_equal(lab_servers(l), 2);
	limits(l, 10 * GIB, 0);
	job_run(l, "c", 2 * GIB, &a);
	assert_string_equal(lab_state(l, "a"), "");
	assert_string_equal(lab_state(l, "b"), "loaded");
	job_start(l, &a, "d", 11 * GIB);
	LAB_UNTIL(l, a.died);
	assert_non_null(strstr(a.err.text, "the owner lends 10.0 GB"));
}

/* ---- a hundred switches ---- */

static unsigned descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long rss_kib(void)
{
	long pages = 0, size;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void a_hundred_switches_leak_nothing_and_mix_nothing_up(void **state)
{
	struct lab *l = *state;
	struct job j;
	long rss = 0;
	unsigned fds = 0;
	lab_gpu(l, 8 * GIB);
	takes(l, 6 * GIB);
	for (int i = 0; i < 100; i++) {
		job_run(l, i % 2 ? "odd" : "even", 6 * GIB, &j); /* its answer has its name */
		lab_settle(l);
		assert_true(l->used == 6 * GIB);
		assert_int_equal(lab_processes(l), 1);
		assert_int_equal(lab_servers(l), 1);
		assert_int_equal(lab_folders(l), 1);
		buf_reset(&l->said);
		if (i == 9) {
			rss = rss_kib();
			fds = descriptors();
		}
	}
	assert_int_equal(lab_diary(l, "start"), 100);
	assert_int_equal(lab_diary(l, "job"), 100);
	assert_true(descriptors() <= fds + 1);
	print_message("100 switches: %ld KiB more after the 10th\n", rss_kib() - rss);
#ifndef __SANITIZE_ADDRESS__
	assert_true(rss_kib() - rss < 1024);
#endif
	host_unload_idle(l->host);
	LAB_UNTIL(l, lab_servers(l) == 0);
	lab_settle(l);
	assert_true(l->used == 0);
	assert_int_equal(lab_processes(l), 0);
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_LAB(admission_is_a_table),
	    WITH_LAB(a_total_that_somebody_declared_is_shared_by_estimates),
	    WITH_LAB(the_least_recently_used_goes_and_no_more_than_needed),
	    WITH_LAB(servers_without_gpu_memory_are_left_alone),
	    WITH_LAB(the_leased_are_never_unloaded_but_waited_for),
	    WITH_LAB(who_waits_for_room_is_not_overtaken),
	    WITH_LAB(a_waiting_lease_may_be_ended),
	    WITH_LAB(what_cannot_fit_is_refused_before_anything_is_unloaded),
	    WITH_LAB(memory_is_seen_to_return_before_the_next_is_started),
	    WITH_LAB(memory_that_never_returns_is_not_waited_for_for_ever),
	    WITH_LAB(less_lent_is_kept_to_from_the_next_on),
	    WITH_LAB(a_hundred_switches_leak_nothing_and_mix_nothing_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
