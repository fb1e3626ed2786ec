/* test_download.c - a file arrives whole, whatever the server and the link do.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/model/lab.h"
#include "worker/model/download.h"
#include "worker/model/record.h"

#define SIZE (6 * MIB + 321)

static char *hash_of(const void *data, size_t len)
{
	static char hex[SHA256_HEX_LEN];
	sha256_hex(data, len, hex);
	return hex;
}

/* ---- the plain cases ---- */

static void arrives_and_is_known(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct record r;
	(void)state;
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_int_equal(record_load(l->root, "model", "m.gguf", &r, NULL), 0);
	assert_true(r.downloaded);
	assert_string_equal(r.sha256, f.sha256);
	assert_string_equal(r.url, l->url);
	record_fini(&r);
	int asked = atomic_load(&l->site->requests);
	h = lab_fetch(l, &f); /* it is here now */
	assert_fetched(l, &h, SIZE);
	assert_int_equal(atomic_load(&l->site->requests), asked);
	assert_int_equal(h.progress, 0);
	lab_free(l);
}

static void sizes_at_the_edges(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 128 << 10, (128 << 10) + 1, MIB, 3 * MIB};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int mode = 0; mode < 3; mode++) {
			struct lab *l = lab_new(sizes[i], false);
			atomic_store(&l->site->no_ranges, mode > 0);
			atomic_store(&l->site->no_length, mode > 1);
			struct source_file f = lab_file(l, hash_of(l->body, sizes[i]));
			struct held h = lab_fetch(l, &f);
			assert_fetched(l, &h, sizes[i]);
			lab_free(l);
		}
	}
}

static void more_streams_while_they_help(void **state)
{
	struct lab *l = lab_new(BODY_MAX, false);
	(void)state;
	atomic_store(&l->site->rate, 4u * MIB);
	struct source_file f = lab_file(l, hash_of(l->body, BODY_MAX));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, BODY_MAX);
	assert_true(atomic_load(&l->site->most) >= 4);
	assert_true(atomic_load(&l->site->most) <=
		    12); /* those that are cut end while others run */
	assert_true(h.progress >= 2);
	assert_int_equal(h.total, BODY_MAX);
	assert_true(h.most_done <= BODY_MAX);
	/* What was cut off in the air is little. */
	assert_true(atomic_load(&l->site->served) < BODY_MAX + BODY_MAX / 4);
	lab_free(l);
}

/* ---- cuts ---- */

static void goes_on_after_a_cut(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	atomic_store(&l->site->cut, 1500000);
	atomic_store(&l->site->cuts, 3);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_true(atomic_load(&l->site->if_ranges) >= 3);
	assert_true(atomic_load(&l->site->served) <= SIZE + 64 * 1024);
	lab_free(l);
}

static void without_ranges_it_starts_again(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	atomic_store(&l->site->no_ranges, 1);
	atomic_store(&l->site->cut, 3 * MIB);
	atomic_store(&l->site->cuts, 2);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_int_equal(atomic_load(&l->site->requests), 3);
	lab_free(l);
}

static void a_server_that_always_cuts_is_given_up(void **state)
{
	(void)state;
	for (int no_ranges = 0; no_ranges < 2; no_ranges++) {
		struct lab *l = lab_new(SIZE, false);
		atomic_store(&l->site->no_ranges, no_ranges);
		atomic_store(&l->site->cut, no_ranges ? 3 * MIB : 1);
		atomic_store(&l->site->cuts, -1);
		struct source_file f = lab_file(l, NULL);
		struct held h = lab_fetch(l, &f);
		assert_failed(&h, 0, true, "m.gguf");
		assert_true(atomic_load(&l->site->requests) <= 8);
		lab_free(l);
	}
}

static void a_stall_is_noticed(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	atomic_store(&l->site->stall, 2 * MIB);
	atomic_store(&l->site->stalls, 1);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void later_is_retried_never_is_not(void **state)
{
	static const int later[] = {429, 500, 503, 408}, never[] = {404, 403, 410, 401};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		struct lab *l = lab_new(SIZE, false);
		atomic_store(&l->site->bad_status, later[i]);
		atomic_store(&l->site->bad_times, 2);
		struct source_file f = lab_file(l, NULL), g = f;
		struct held h = lab_fetch(l, &f);
		assert_fetched(l, &h, SIZE);
		atomic_store(&l->site->bad_status, never[i]);
		atomic_store(&l->site->bad_times, -1);
		g.filename = (char *)(uintptr_t) "other.gguf";
		int asked = atomic_load(&l->site->requests);
		h = lab_fetch(l, &g);
		char says[16];
		snprintf(says, sizeof says, "%d", never[i]);
		assert_failed(&h, EPROTO, false, says);
		assert_int_equal(atomic_load(&l->site->requests), asked + 1);
		lab_free(l);
	}
}

static void retry_after_is_honoured(void **state)
{
	struct lab *l = lab_new(1000, false);
	(void)state;
	atomic_store(&l->site->bad_status, 503);
	atomic_store(&l->site->bad_times, 1);
	atomic_store(&l->site->retry_after, 1);
	uint64_t began = clock_now(&l->loop.clock);
	struct source_file f = lab_file(l, NULL);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, 1000);
	assert_true(clock_now(&l->loop.clock) - began >= 1000);
	lab_free(l);
}

/* ---- lies ---- */

static void a_changed_file_starts_over(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	atomic_store(&l->site->cut, 2 * MIB);
	atomic_store(&l->site->cuts, 1);
	atomic_store(&l->site->change_at, 2);
	l->site->next = l->other;
	l->site->next_etag = "\"two\"";
	struct source_file f = lab_file(l, hash_of(l->other, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_bytes(h.path, l->other, SIZE);
	assert_non_null(strstr(l->said, "starts over"));
	lab_free(l);
}

static void wrong_bytes_are_refused(void **state)
{
	(void)state;
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	atomic_store(&l->site->shift, 7);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EPROTO, true, "other bytes");
	atomic_store(&l->site->shift, 0);
	atomic_store(&l->site->garbage, 1);
	h = lab_fetch(l, &f);
	assert_failed(&h, 0, true, "m.gguf");
	atomic_store(&l->site->garbage, 0);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void too_many_and_too_few_bytes(void **state)
{
	(void)state;
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	atomic_store(&l->site->extra, 100000);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
	l = lab_new(40000, false); /* each answer is 1,000 bytes and calls itself whole */
	f = lab_file(l, hash_of(l->body, 40000));
	atomic_store(&l->site->short_range, 1);
	h = lab_fetch(l, &f);
	assert_failed(&h, EPROTO, true, "less");
	lab_free(l);
}

static void a_total_that_is_too_large(void **state)
{
	(void)state;
	struct lab *l = lab_new(1000, false);
	struct source_file f = lab_file(l, NULL);
	atomic_store(&l->site->lie_total, 1000);
	struct held h = lab_fetch(l, &f); /* the rest never comes: 416 */
	assert_int_not_equal(h.err.code, 0);
	assert_true(h.retryable);
	lab_free(l);
}

static void an_error_page_is_no_model(void **state)
{
	(void)state;
	struct lab *l = lab_new(2000, false);
	struct source_file f = lab_file(l, NULL);
	f.approx_bytes = 5000000000;
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EPROTO, false, "not about 5.0 GB");
	f.approx_bytes = 2100;
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, 2000);
	lab_free(l);
}

static void a_wrong_hash_is_tried_once_more(void **state)
{
	(void)state;
	struct lab *l = lab_new(SIZE, false);
	char want[SHA256_HEX_LEN], got[SHA256_HEX_LEN];
	sha256_hex(l->other, SIZE, want);
	sha256_hex(l->body, SIZE, got);
	struct source_file f = lab_file(l, want);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EBADMSG, false, want);
	assert_non_null(strstr(h.err.text, got));
	assert_true(atomic_load(&l->site->served) >= 2 * (size_t)SIZE);
	auto_free char *dir = fs_join(l->root, "model");
	char **names;
	size_t n;
	assert_int_equal(fs_list(dir, &names, &n, NULL), 0);
	assert_int_equal(n, 0); /* deleted */
	fs_list_free(names, n);
	/* One bad transfer is made good by the second. */
	atomic_store(&l->site->requests, 0);
	atomic_store(&l->site->change_at, 2);
	l->site->next = l->other;
	l->site->next_etag = "\"one\"";
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arrives_and_is_known),
	    cmocka_unit_test(sizes_at_the_edges),
	    cmocka_unit_test(more_streams_while_they_help),
	    cmocka_unit_test(goes_on_after_a_cut),
	    cmocka_unit_test(without_ranges_it_starts_again),
	    cmocka_unit_test(a_server_that_always_cuts_is_given_up),
	    cmocka_unit_test(a_stall_is_noticed),
	    cmocka_unit_test(later_is_retried_never_is_not),
	    cmocka_unit_test(retry_after_is_honoured),
	    cmocka_unit_test(a_changed_file_starts_over),
	    cmocka_unit_test(wrong_bytes_are_refused),
	    cmocka_unit_test(too_many_and_too_few_bytes),
	    cmocka_unit_test(a_total_that_is_too_large),
	    cmocka_unit_test(an_error_page_is_no_model),
	    cmocka_unit_test(a_wrong_hash_is_tried_once_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
