/* test_trust.c - what is not proven is not believed: that a file is ours to replace, that an answer
 * is whole, that two answers are of one file.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "tests/unit/model/lab.h"
#include "worker/model/ledger.h"
#include "worker/model/record.h"

#define SIZE (3 * MIB + 77)

static char *hash_of(const void *data, size_t len)
{
	static char hex[SHA256_HEX_LEN];
	sha256_hex(data, len, hex);
	return hex;
}

static char *beside(struct lab *l, const char *suffix)
{
	return name_path(l->root, "model", "m.gguf", suffix);
}

static uint64_t claimed(struct lab *l)
{
	auto_free char *path = beside(l, NAME_LEDGER);
	struct ledger *g = xcalloc(1, sizeof *g);
	uint64_t bytes = ledger_load(path, g, NULL) == 0 ? extents_bytes(&g->written) : 0;
	free(g);
	return bytes;
}

/* A download that is left once so much was served and, when `claims`, something is claimed. */
static void leave_half(struct lab *l, const struct source_file *f, bool claims)
{
	struct held h;
	size_t before = atomic_load(&l->site->served);
	atomic_store(&l->site->rate, 2u * MIB);
	hold_file(l, &h, "model", f);
	await_that(l, atomic_load(&l->site->served) - before > MIB && (!claims || claimed(l) > 0));
	hold_release(h.hold);
	await_that(l, list_empty(&l->store->downloads));
	atomic_store(&l->site->rate, 0);
}

/* ---- the owner's files ---- */

static void what_the_owner_puts_there_meanwhile_stays(void **state)
{
	(void)state;
	for (int was_ours = 0; was_ours < 2; was_ours++) {
		struct lab *l = lab_new(SIZE, false);
		struct source_file f = lab_file(l, NULL);
		struct held h;
		if (was_ours) {
			h = lab_fetch(l, &f);
			assert_fetched(l, &h, SIZE);
		}
		l->site->body = l->other;
		snprintf(l->site->etag, sizeof l->site->etag, "\"two\"");
		f.sha256 = hash_of(l->other, SIZE);
		atomic_store(&l->site->rate, 5u * MIB);
		size_t before = atomic_load(&l->site->served);
		hold_file(l, &h, "model", &f);
		await_that(l, atomic_load(&l->site->served) - before > MIB);
		auto_free char *own = lab_put(l, "model", "m.gguf", "mine", 4);
		await(l, &h.done);
		hold_release(h.hold);
		assert_failed(&h, EEXIST, false, "it is yours and stays");
		assert_bytes(own, (const unsigned char *)"mine", 4);
		/* Moved away: nothing is fetched twice. */
		assert_int_equal(unlink(own), 0);
		before = atomic_load(&l->site->served);
		h = lab_fetch(l, &f);
		assert_fetched(l, &h, SIZE);
		assert_true(atomic_load(&l->site->served) - before < SIZE / 2);
		lab_free(l);
	}
}

static void a_link_to_nothing_stays(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	char to[16];
	(void)state;
	free(lab_put(l, "model", "beside", "x", 1));
	auto_free char *own = beside(l, "");
	assert_int_equal(symlink("/nowhere", own), 0);
	struct source_file f = lab_file(l, NULL);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EEXIST, false, "yours and stays");
	assert_int_equal(atomic_load(&l->site->requests), 0);
	assert_int_equal(readlink(own, to, sizeof to), 8);
	lab_free(l);
}

static void a_part_without_a_ledger_is_the_owners(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	free(lab_put(l, "model", "m.gguf.part", "mine", 4));
	auto_free char *part = beside(l, NAME_PART), *ledger = beside(l, NAME_LEDGER);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EEXIST, false, part);
	assert_bytes(part, (const unsigned char *)"mine", 4);
	assert_false(fs_exists(ledger));
	lab_free(l);
}

/* ---- is it whole? ---- */

static void without_an_end_nothing_is_whole(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	auto_free char *path = beside(l, "");
	(void)state;
	atomic_store(&l->site->no_ranges, 1);
	atomic_store(&l->site->no_length, 1);
	atomic_store(&l->site->cut, 100000);
	atomic_store(&l->site->cuts, 1);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EPROTO, false, "without its length");
	assert_false(fs_exists(path));
	atomic_store(&l->site->cuts, 1);
	atomic_store(&l->site->no_length, 2); /* chunks: the cut is seen, and made good */
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void the_last_size_counts(void **state)
{
	(void)state;
	for (int no_length = 0; no_length < 3; no_length += 2) {
		struct lab *l = lab_new(0, false);
		struct source_file f = lab_file(l, NULL);
		atomic_store(&l->site->no_ranges, 1);
		atomic_store(&l->site->no_length, no_length);
		struct held h = lab_fetch(l, &f);
		assert_failed(&h, EPROTO, false, "is empty");
		atomic_store(&l->site->len, 100000);
		f.approx_bytes = 5000000;
		h = lab_fetch(l, &f);
		assert_failed(&h, EPROTO, false, "not about 5.0 MB");
		f.approx_bytes = 0;
		h = lab_fetch(l, &f);
		assert_fetched(l, &h, 100000);
		/* Ours and from the same address, but not what is asked for. */
		f.approx_bytes = 5000000;
		h = lab_fetch(l, &f);
		assert_failed(&h, EPROTO, false, "not about 5.0 MB");
		lab_free(l);
	}
}

/* ---- is it the same file? ---- */

static void without_a_validator_nothing_is_joined(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	(void)state;
	l->site->etag[0] = '\0';
	l->site->next = l->other;
	l->site->next_etag = "";
	leave_half(l, &f, false);
	assert_int_equal(claimed(l), 0);
	atomic_store(&l->site->change_at, atomic_load(&l->site->requests) + 1);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_bytes(h.path, l->other, SIZE);
	assert_int_equal(unlink(h.path), 0);
	/* The same within one download. */
	atomic_store(&l->site->cut, 2 * MIB);
	atomic_store(&l->site->cuts, 1);
	l->site->next = l->body;
	atomic_store(&l->site->change_at, atomic_load(&l->site->requests) + 2);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_bytes(h.path, l->body, SIZE);
	lab_free(l);
}

static void without_a_validator_there_is_one_stream(void **state)
{
	struct lab *l = lab_new(BODY_MAX, false);
	struct source_file f = lab_file(l, NULL);
	(void)state;
	snprintf(l->site->etag, sizeof l->site->etag, "W/\"weak\"");
	atomic_store(&l->site->rate, 16u * MIB);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, BODY_MAX);
	assert_int_equal(atomic_load(&l->site->requests), 1);
	lab_free(l);
}

/* What an older ledger claims of the part is void once another file was begun in it. */
static void an_old_claim_does_not_outlive_the_bytes(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL), g = f;
	auto_free char *other_url = xasprintf("%s?other", l->url);
	(void)state;
	g.url = other_url;
	leave_half(l, &f, true);
	l->site->body = l->other;
	l->site->etag[0] = '\0';
	leave_half(l, &g, false);
	l->site->body = l->body;
	snprintf(l->site->etag, sizeof l->site->etag, "\"one\"");
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void a_long_address_is_gone_on_with(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	char tail[5000];
	(void)state;
	memset(tail, 'x', sizeof tail - 1);
	tail[sizeof tail - 1] = '\0';
	auto_free char *url = xasprintf("%s?%s", l->url, tail);
	f.url = url;
	l->store->tune.piece = 64u << 20; /* one stream: each request counts */
	leave_half(l, &f, true);
	assert_true(claimed(l) > 0);
	assert_int_equal(atomic_load(&l->site->if_ranges), 0);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_true(atomic_load(&l->site->if_ranges) >= 1);
	assert_int_equal(atomic_load(&l->site->whole_requests), 0);
	lab_free(l);
}

/* ---- refusals ---- */

static void one_stream_too_many_is_no_failure(void **state)
{
	struct lab *l = lab_new(BODY_MAX, false);
	struct source_file f = lab_file(l, hash_of(l->body, BODY_MAX));
	(void)state;
	atomic_store(&l->site->rate, 8u * MIB);
	atomic_store(&l->site->live_most, 1);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, BODY_MAX);
	assert_true(atomic_load(&l->site->most) > 1);
	lab_free(l);
}

static void an_address_that_runs_out_may_be_given_anew(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	(void)state;
	atomic_store(&l->site->cut, MIB);
	atomic_store(&l->site->cuts, 1);
	atomic_store(&l->site->bad_status, 403);
	atomic_store(&l->site->bad_from, 2);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, EPROTO, true, "403");
	assert_int_equal(atomic_load(&l->site->requests), 5);
	atomic_store(&l->site->bad_from, 0);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

/* ---- who works with it ---- */

static void an_idle_engine_lets_go_of_the_old_file(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	(void)state;
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	auto_free char *path = beside(l, "");
	snprintf(l->in_use, sizeof l->in_use, "%s", path);
	l->site->body = l->other;
	snprintf(l->site->etag, sizeof l->site->etag, "\"two\"");
	f.sha256 = hash_of(l->other, SIZE);
	h = lab_fetch(l, &f);
	assert_failed(&h, EBUSY, true, "another job works");
	l->idle = true;
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_int_equal(l->in_use[0], '\0');
	lab_free(l);
}

/* ---- the quota ---- */

static void lab_quota(struct lab *l, uint64_t bytes)
{
	struct store_limits limits = {.studio_origin = l->origin, .quota_bytes = bytes};
	store_configure(l->store, &limits);
}

static void the_quota_holds_without_a_size(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, hash_of(l->body, SIZE));
	(void)state;
	lab_quota(l, 2 * MIB);
	atomic_store(&l->site->no_ranges, 1);
	atomic_store(&l->site->no_length, 1);
	struct held h = lab_fetch(l, &f);
	assert_failed(&h, ENOSPC, true, "models_quota_gb");
	lab_quota(l, 4 * MIB);
	h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void two_at_once_share_the_quota(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	struct held a, b;
	(void)state;
	lab_quota(l, 5 * MIB);
	atomic_store(&l->site->rate, 3u * MIB);
	hold_file(l, &a, "a", &f);
	await_that(l, atomic_load(&l->site->served) > MIB / 4);
	hold_file(l, &b, "b", &f);
	await(l, &b.done);
	assert_failed(&b, EDQUOT, true, "models_quota_gb");
	hold_release(b.hold);
	await(l, &a.done);
	assert_int_equal(a.err.code, 0);
	hold_release(a.hold);
	lab_free(l);
}

static void who_has_no_size_gives_way(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	struct held a, b;
	(void)state;
	lab_quota(l, 5 * MIB);
	l->store->tune.stall_ms = 10000;
	atomic_store(&l->site->rate, 2u * MIB);
	atomic_store(&l->site->no_length, 2);
	atomic_store(&l->site->no_ranges, 1);
	hold_file(l, &a, "a", &f);
	await_that(l, atomic_load(&l->site->served) > MIB / 4);
	atomic_store(&l->site->rate, 0);
	atomic_store(&l->site->no_length, 0);
	hold_file(l, &b, "b", &f);
	await(l, &b.done);
	assert_int_equal(b.err.code, 0);
	await(l, &a.done);
	assert_failed(&a, ENOSPC, true, "models_quota_gb");
	hold_release(a.hold);
	hold_release(b.hold);
	lab_free(l);
}

/* ---- what is remembered ---- */

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void addresses_are_for_the_owner_alone(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct source_file f = lab_file(l, NULL);
	char key[NAME_KEY_LEN];
	(void)state;
	leave_half(l, &f, true);
	auto_free char *ledger = beside(l, NAME_LEDGER);
	assert_int_equal(mode_of(ledger), 0600);
	assert_int_equal(chmod(ledger, 0644), 0); /* as it was once */
	close(ledger_open(ledger, NULL));
	assert_int_equal(mode_of(ledger), 0600);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	name_key("model", "m.gguf", key);
	auto_free char *record = xasprintf("%s/.store/files/%s", l->root, key);
	assert_int_equal(mode_of(record), 0600);
	lab_free(l);
}

static void a_file_without_a_lasting_inode(void **state)
{
	struct record r = {.bytes = 5, .mtime_ns = 4000000000};
	struct stat st = {.st_size = 5, .st_ino = 77, .st_mtim = {.tv_sec = 5}};
	(void)state;
	assert_true(record_inode_lasts(0xef53));
	assert_false(record_inode_lasts(0x4d44));     /* FAT */
	assert_false(record_inode_lasts(0x2011bab0)); /* exFAT */
	assert_true(record_fits(&r, &st));
	st.st_mtim.tv_sec = 6;
	assert_false(record_fits(&r, &st));
	r.inode = 77;
	assert_false(record_fits(&r, &st));
	st.st_mtim.tv_sec = 4;
	assert_true(record_fits(&r, &st));
	st.st_ino = 78;
	assert_false(record_fits(&r, &st));
}

/* Puts the same bytes there as another inode, with the old time or with a new one. */
static void put_again(struct lab *l, const char *path, bool same_time)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	auto_free char *copy = lab_put(l, "model", "copy", l->body, SIZE);
	if (same_time)
		assert_int_equal(
		    utimensat(AT_FDCWD, copy, (struct timespec[2]){st.st_mtim, st.st_mtim}, 0), 0);
	assert_int_equal(rename(copy, path), 0);
}

static void what_moved_with_its_time_is_still_ours(void **state)
{
	(void)state;
	for (int same_time = 0; same_time < 2; same_time++) {
		struct lab *l = lab_new(SIZE, false);
		struct record r;
		struct source_file f = lab_file(l, hash_of(l->body, SIZE));
		struct held h = lab_fetch(l, &f);
		put_again(l, h.path, same_time);
		h = lab_fetch(l, &f);
		assert_fetched(l, &h, SIZE);
		assert_int_equal(record_load(l->root, "model", "m.gguf", &r, NULL), 0);
		assert_int_equal(r.downloaded, same_time);
		assert_true(record_alive(l->root, &r));
		record_fini(&r);
		lab_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_owner_puts_there_meanwhile_stays),
	    cmocka_unit_test(a_link_to_nothing_stays),
	    cmocka_unit_test(a_part_without_a_ledger_is_the_owners),
	    cmocka_unit_test(without_an_end_nothing_is_whole),
	    cmocka_unit_test(the_last_size_counts),
	    cmocka_unit_test(without_a_validator_nothing_is_joined),
	    cmocka_unit_test(without_a_validator_there_is_one_stream),
	    cmocka_unit_test(an_old_claim_does_not_outlive_the_bytes),
	    cmocka_unit_test(a_long_address_is_gone_on_with),
	    cmocka_unit_test(one_stream_too_many_is_no_failure),
	    cmocka_unit_test(an_address_that_runs_out_may_be_given_anew),
	    cmocka_unit_test(an_idle_engine_lets_go_of_the_old_file),
	    cmocka_unit_test(the_quota_holds_without_a_size),
	    cmocka_unit_test(two_at_once_share_the_quota),
	    cmocka_unit_test(who_has_no_size_gives_way),
	    cmocka_unit_test(addresses_are_for_the_owner_alone),
	    cmocka_unit_test(a_file_without_a_lasting_inode),
	    cmocka_unit_test(what_moved_with_its_time_is_still_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
