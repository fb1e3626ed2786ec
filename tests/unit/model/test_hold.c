/* test_hold.c - found files, shared downloads, the rate limit, the quota, and the owner's files.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "tests/unit/model/lab.h"
#include "worker/model/ledger.h"
#include "worker/model/part.h"
#include "worker/model/quota.h"
#include "worker/model/record.h"

#define SIZE (4 * MIB + 7)

static char *hash_of(const void *data, size_t len)
{
	static char hex[SHA256_HEX_LEN];
	sha256_hex(data, len, hex);
	return hex;
}

static int requests(struct lab *l)
{
	return atomic_load(&l->site->requests);
}

/* ---- finding ---- */

static void own_folder_then_the_top(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	struct source_file f = lab_file(l, NULL);
	f.approx_bytes = SIZE;
	auto_free char *top = lab_put(l, "", "m.gguf", l->body, SIZE);
	struct held h = lab_fetch(l, &f);
	assert_string_equal(h.path, top);
	auto_free char *own = lab_put(l, "model", "m.gguf", l->body, SIZE);
	h = lab_fetch(l, &f);
	assert_string_equal(h.path, own);
	assert_int_equal(requests(l), 0);
	lab_free(l);
}

static void size_and_hash_must_match(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	struct source_file f = lab_file(l, NULL);
	f.approx_bytes = SIZE;
	auto_free char *top = lab_put(l, "", "m.gguf", l->body, SIZE / 2);
	struct held h = lab_fetch(l, &f); /* another file at the top: left alone */
	assert_fetched(l, &h, SIZE);
	assert_string_not_equal(h.path, top);
	assert_bytes(top, l->body, SIZE / 2);
	/* Same name and size, another hash: fetched, in place of what was fetched. */
	f.sha256 = hash_of(l->other, SIZE);
	l->site->body = l->other;
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void hashed_once_and_remembered(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct record r;
	(void)state;
	auto_free char *own = lab_put(l, "model", "m.gguf", l->body, SIZE);
	auto_free char *right = xstrdup(hash_of(l->body, SIZE));
	struct source_file f = lab_file(l, right);
	struct held h = lab_fetch(l, &f);
	assert_string_equal(h.path, own);
	assert_int_equal(record_load(l->root, "model", "m.gguf", &r, NULL), 0);
	assert_false(r.downloaded);
	/* The record is believed while inode, size and time are the same: proven by a lie. */
	str_replace(&r.sha256, hash_of(l->other, SIZE));
	assert_int_equal(record_save(l->root, &r, NULL), 0);
	record_fini(&r);
	h = lab_fetch(l, &f);
	assert_failed(&h, EEXIST, false, "is yours and stays");
	assert_int_equal(utimensat(AT_FDCWD, own, (struct timespec[2]){{1, 0}, {1, 0}}, 0), 0);
	h = lab_fetch(l, &f); /* touched: hashed again */
	assert_string_equal(h.path, own);
	assert_int_equal(requests(l), 0);
	lab_free(l);
}

static void the_owners_file_is_never_replaced(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	auto_free char *own = lab_put(l, "model", "m.gguf", "mine", 4);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EEXIST, false, own);
	assert_bytes(own, (const unsigned char *)"mine", 4);
	assert_int_equal(requests(l), 0);
	lab_free(l);
}

static void refused_names(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	static const char *const bad[] = {"../x", "a/b", ".hidden", "x.part", ""};
	struct held h;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct source_file f = lab_file(l, NULL);
		f.filename = (char *)(uintptr_t)bad[i];
		h = lab_fetch(l, &f);
		assert_failed(&h, EINVAL, false, "name");
	}
	struct source_file f = lab_file(l, NULL);
	hold_file(l, &h, "", &f);
	await(l, &h.done);
	assert_failed(&h, EINVAL, false, "without a name");
	hold_release(h.hold);
	hold_file(l, &h, "../..", &f);
	await(l, &h.done);
	auto_free char *path = name_path(l->root, "%2e.%2f..", "m.gguf", "");
	assert_string_equal(h.path, path);
	hold_release(h.hold);
	assert_int_equal(requests(l), 1);
	lab_free(l);
}

/* ---- sharing ---- */

static void two_holds_share_one_download(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct held a, b, c;
	(void)state;
	atomic_store(&l->site->rate, 20u * MIB);
	l->store->tune.piece = 64u << 20; /* one stream: each request counts */
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	hold_file(l, &a, "model", &f);
	hold_file(l, &b, "model", &f);
	await_that(l, requests(l) == 1);
	hold_file(l, &c, "model", &f);
	hold_release(c.hold); /* before it began */
	hold_release(a.hold); /* in the middle: the other one still wants it */
	await(l, &b.done);
	assert_fetched(l, &b, SIZE);
	assert_false(a.done || c.done);
	hold_release(b.hold);
	assert_int_equal(requests(l), 1);
	lab_free(l);
}

static uint64_t claimed(struct lab *l)
{
	auto_free char *path = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
	struct ledger *g = xcalloc(1, sizeof *g);
	uint64_t bytes = ledger_load(path, g, NULL) == 0 ? extents_bytes(&g->written) : 0;
	free(g);
	return bytes;
}

static void set_over(void *arg)
{
	*(bool *)arg = true;
}

/* One turn of the loop, bounded: for what another thread does. */
static bool live_in(struct lab *l, uint64_t ms)
{
	struct timer t = {0};
	bool over = false;
	timer_start(&t, &l->loop.clock, ms, set_over, &over);
	while (!over)
		uv_run(&l->loop.uv, UV_RUN_ONCE);
	return true;
}

static void released_while_it_runs_goes_on_later(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct held h;
	(void)state;
	atomic_store(&l->site->rate, 10u * MIB);
	l->store->tune.piece = 64u << 20; /* one stream: its bytes can be counted */
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	hold_file(l, &h, "model", &f);
	await_that(l, atomic_load(&l->site->served) > 2 * MIB);
	hold_release(h.hold);
	assert_false(h.done);
	await_that(l, list_empty(&l->store->downloads));
	uint64_t kept = claimed(l);
	assert_true(kept > MIB);
	await_that(l, live_in(l, 20) && !atomic_load(&l->site->live)); /* it still counts */
	size_t served = atomic_load(&l->site->served);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_true(atomic_load(&l->site->served) - served <= SIZE - kept);
	lab_free(l);
}

static void the_store_may_go_while_it_runs(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct held h;
	(void)state;
	atomic_store(&l->site->rate, 10u * MIB);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	hold_file(l, &h, "model", &f);
	await_that(l, atomic_load(&l->site->served) > MIB);
	store_free(l->store);
	l->store = NULL;
	hold_release(h.hold); /* outlived its store */
	await_that(l, !l->loop.working);
	assert_false(h.done);
	assert_true(claimed(l) > MIB / 2);
	lab_open_store(l);
	atomic_store(&l->site->rate, 0);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void another_process_is_waited_for(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	char key[NAME_KEY_LEN];
	struct held h;
	(void)state;
	name_key("model", "m.gguf", key);
	auto_free char *dir = fs_join(l->root, ".store/locks");
	auto_free char *lock = fs_join(dir, key);
	assert_int_equal(fs_mkdirs(dir, 0755, NULL), 0);
	int fd = fs_lock(lock, NULL); /* as that process would hold it */
	assert_true(fd >= 0);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	hold_file(l, &h, "model", &f);
	await_that(l, strstr(l->said, "another process") != NULL);
	assert_int_equal(requests(l), 0);
	/* It brings the file and ends: nothing is fetched twice. */
	auto_free char *own = lab_put(l, "model", "m.gguf", l->body, SIZE);
	fs_unlock(fd);
	await(l, &h.done);
	assert_string_equal(h.path, own);
	assert_int_equal(requests(l), 0);
	hold_release(h.hold);
	/* One that died left a lock file that nobody holds. */
	assert_int_equal(unlink(own), 0);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

/* ---- the limit ---- */

static void the_limit_changes_while_it_runs(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct store_limits limits = {.studio_origin = l->origin, .bytes_per_s = 2 * MIB};
	struct held h;
	(void)state;
	store_configure(l->store, &limits);
	l->store->tune.stall_ms = 5000;
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	uint64_t began = clock_now(&l->loop.clock);
	hold_file(l, &h, "model", &f);
	await_that(l, h.most_done >= MIB);
	uint64_t ms = clock_now(&l->loop.clock) - began;
	assert_true(ms >= 400); /* 1 MiB at 2 a second, and what may be saved up */
	assert_true(h.most_done < 3 * MIB);
	limits.bytes_per_s = 0;
	store_configure(l->store, &limits);
	began = clock_now(&l->loop.clock);
	await(l, &h.done);
	assert_true(clock_now(&l->loop.clock) - began < 1000);
	assert_fetched(l, &h, SIZE);
	hold_release(h.hold);
	lab_free(l);
}

/* ---- the quota ---- */

static void lab_quota(struct lab *l, uint64_t bytes)
{
	struct store_limits limits = {.studio_origin = l->origin, .quota_bytes = bytes};
	store_configure(l->store, &limits);
}

static char *fetch_as(struct lab *l, const char *model)
{
	struct source_file f = lab_file(l, NULL);
	struct held h;
	hold_file(l, &h, model, &f);
	await(l, &h.done);
	hold_release(h.hold);
	if (h.err.code)
		fail_msg("%s", h.err.text);
	return xstrdup(h.path);
}

static void set_used(struct lab *l, const char *folder, time_t when)
{
	char key[NAME_KEY_LEN];
	name_key(folder, "m.gguf", key);
	auto_free char *path = xasprintf("%s/.store/files/%s", l->root, key);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{when, 0}, {when, 0}}, 0),
			 0);
}

static void the_longest_unused_goes(void **state)
{
	struct lab *l = lab_new(MIB, false);
	(void)state;
	auto_free char *mine = lab_put(l, "mine", "huge.gguf", l->body, 8 * MIB);
	auto_free char *a = fetch_as(l, "a"), *b = fetch_as(l, "b"), *c = fetch_as(l, "c");
	lab_quota(l, 3 * MIB);
	set_used(l, "a", 300);
	set_used(l, "b", 100);
	set_used(l, "c", 200);
	auto_free char *d = fetch_as(l, "d");
	assert_false(fs_exists(b));
	assert_true(fs_exists(a) && fs_exists(c) && fs_exists(d) && fs_exists(mine));
	/* A file of ours that the owner replaced since is the owner's. */
	assert_int_equal(unlink(c), 0);
	free(lab_put(l, "c", "m.gguf", l->body, MIB));
	auto_free char *e = fetch_as(l, "e");
	assert_true(fs_exists(c) && fs_exists(a) && fs_exists(d) && fs_exists(e));
	lab_free(l);
}

static void what_is_needed_stays(void **state)
{
	struct lab *l = lab_new(MIB, false);
	struct held held;
	(void)state;
	auto_free char *a = fetch_as(l, "a"), *b = fetch_as(l, "b");
	lab_quota(l, 2 * MIB);
	struct source_file f = lab_file(l, NULL);
	hold_file(l, &held, "a", &f);
	await(l, &held.done);
	snprintf(l->in_use, sizeof l->in_use, "%s", b);
	struct held h;
	hold_file(l, &h, "c", &f);
	await(l, &h.done);
	assert_failed(&h, EDQUOT, true, "2.1 MB of it are in use");
	hold_release(h.hold);
	assert_true(fs_exists(a) && fs_exists(b));
	l->in_use[0] = '\0'; /* unloaded */
	auto_free char *c = fetch_as(l, "c");
	assert_true(fs_exists(a) && !fs_exists(b) && fs_exists(c));
	hold_release(held.hold);
	lab_quota(l, MIB / 2);
	hold_file(l, &h, "d", &f);
	await(l, &h.done);
	assert_failed(&h, EFBIG, false, "allows 524 kB");
	hold_release(h.hold);
	assert_true(fs_exists(a) && fs_exists(c)); /* nothing goes for nothing */
	lab_free(l);
}

static void the_disk_is_looked_at_first(void **state)
{
	struct lab *l = lab_new(1000, false);
	(void)state;
	l->site->lie_total = 1 << 30;
	atomic_store(&l->site->len, 1000);
	struct err e = ERR_INIT;
	assert_int_equal(part_room(l->root, "m.gguf", (uint64_t)1 << 60, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "needs 1268 PB"));
	assert_non_null(strstr(e.text, "left"));
	err_clear(&e);
	assert_int_equal(part_room(l->root, "m.gguf", 1000, &e), 0);
	lab_free(l);
}

/* ---- the list ---- */

static void listed_and_removed(void **state)
{
	struct lab *l = lab_new(MIB, false);
	struct store_entry *all;
	struct err e = ERR_INIT;
	size_t n;
	(void)state;
	auto_free char *a = fetch_as(l, "a"), *mine = lab_put(l, "", "mine.gguf", "x", 1);
	free(lab_put(l, "bin", "sd-server", "x", 1));
	assert_int_equal(store_list(l->root, &all, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(all[0].filename, "mine.gguf");
	assert_string_equal(all[0].model, "");
	assert_null(all[0].sha256);
	assert_string_equal(all[1].path, a);
	assert_string_equal(all[1].url, l->url);
	assert_int_equal(all[1].bytes, MIB);
	assert_true(all[1].used_ms > 0);
	store_entries_free(all, n);
	assert_int_equal(store_remove(l->root, "mine.gguf", &e), -EPERM);
	assert_int_equal(store_remove(l->root, "../mine.gguf", &e), -ENOENT);
	assert_int_equal(store_remove(l->root, "a/m.gguf", &e), 0);
	assert_false(fs_exists(a));
	assert_true(fs_exists(mine));
	assert_int_equal(store_remove(l->root, "a/m.gguf", &e), -ENOENT);
	lab_free(l);
}

static void a_half_one_is_listed_and_busy_while_it_runs(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct store_entry *all;
	struct err e = ERR_INIT;
	struct held h;
	size_t n;
	(void)state;
	atomic_store(&l->site->rate, 10u * MIB);
	struct source_file f = lab_file(l, NULL);
	hold_file(l, &h, "model", &f);
	await_that(l, claimed(l) > 0);
	json_t *status = store_status(l->store);
	json_t *one = json_array_get(json_object_get(status, "downloads"), 0);
	assert_int_equal(json_integer_value(json_object_get(one, "total")), SIZE);
	assert_string_equal(json_string_value(json_object_get(one, "filename")), "m.gguf");
	json_decref(status);
	assert_int_equal(store_remove(l->root, "model/m.gguf", &e), -EBUSY);
	hold_release(h.hold);
	await_that(l, list_empty(&l->store->downloads));
	assert_int_equal(store_list(l->root, &all, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(all[0].bytes, SIZE);
	assert_true(all[0].partial > 0 && all[0].partial < SIZE);
	store_entries_free(all, n);
	assert_int_equal(store_remove(l->root, "model", &e), 0);
	assert_int_equal(store_list(l->root, &all, &n, &e), 0);
	assert_int_equal(n, 0);
	store_entries_free(all, n);
	lab_free(l);
}

/* As another process sees it. */
static void what_a_job_needs_is_not_removed(void **state)
{
	struct lab *l = lab_new(MIB, false);
	struct source_file f = lab_file(l, NULL);
	struct err e = ERR_INIT;
	struct held a, b;
	(void)state;
	hold_file(l, &a, "model", &f);
	hold_file(l, &b, "model", &f);
	await(l, &a.done);
	await(l, &b.done);
	assert_int_equal(store_remove(l->root, "model/m.gguf", &e), -EBUSY);
	assert_non_null(strstr(e.text, "a job needs it"));
	hold_release(a.hold);
	assert_int_equal(store_remove(l->root, "model/m.gguf", NULL), -EBUSY);
	assert_true(fs_exists(b.path));
	hold_release(b.hold);
	assert_int_equal(store_remove(l->root, "model/m.gguf", NULL), 0);
	assert_false(fs_exists(b.path));
	lab_free(l);
}

static void what_went_meanwhile_is_fetched_again(void **state)
{
	static const struct store_events events = {held_progress, held_end};
	struct lab *l = lab_new(MIB, false);
	struct source_file f[2] = {lab_file(l, NULL), lab_file(l, NULL)};
	auto_free char *url = xasprintf("%s/second", l->origin);
	auto_free char *first = name_path(l->root, "model", "m.gguf", "");
	auto_free char *second = name_path(l->root, "model", "second", "");
	struct held h = {.lab = l};
	(void)state;
	f[1].url = url;
	f[1].filename = (char *)(uintptr_t) "second";
	atomic_store(&l->site->rate, 2u * MIB);
	h.hold = store_hold(l->store, "model", f, 2, NULL, &events, &h);
	await_that(l, fs_exists(first) && atomic_load(&l->site->served) > MIB + MIB / 4);
	assert_int_equal(store_remove(l->root, "model/m.gguf", NULL), 0);
	atomic_store(&l->site->rate, 0);
	await(l, &h.done);
	assert_int_equal(h.err.code, 0);
	assert_true(fs_exists(first) && fs_exists(second));
	assert_int_equal(requests(l), 3);
	hold_release(h.hold);
	lab_free(l);
}

static void progress_for_people(void **state)
{
	char text[200];
	(void)state;
	struct store_progress p = {"model.gguf", 1200000000, 4900000000, 85000000, 43, false};
	store_progress_text(&p, text, sizeof text);
	assert_string_equal(text, "model.gguf 1.2 of 4.9 GB, 85.0 MB/s, 43 s left");
	p = (struct store_progress){"m", 999, 0, 0, -1, true};
	store_progress_text(&p, text, sizeof text);
	assert_string_equal(text, "verifying m 999 B");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_folder_then_the_top),
	    cmocka_unit_test(size_and_hash_must_match),
	    cmocka_unit_test(hashed_once_and_remembered),
	    cmocka_unit_test(the_owners_file_is_never_replaced),
	    cmocka_unit_test(refused_names),
	    cmocka_unit_test(two_holds_share_one_download),
	    cmocka_unit_test(released_while_it_runs_goes_on_later),
	    cmocka_unit_test(the_store_may_go_while_it_runs),
	    cmocka_unit_test(another_process_is_waited_for),
	    cmocka_unit_test(the_limit_changes_while_it_runs),
	    cmocka_unit_test(the_longest_unused_goes),
	    cmocka_unit_test(what_is_needed_stays),
	    cmocka_unit_test(the_disk_is_looked_at_first),
	    cmocka_unit_test(listed_and_removed),
	    cmocka_unit_test(a_half_one_is_listed_and_busy_while_it_runs),
	    cmocka_unit_test(what_a_job_needs_is_not_removed),
	    cmocka_unit_test(what_went_meanwhile_is_fetched_again),
	    cmocka_unit_test(progress_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
