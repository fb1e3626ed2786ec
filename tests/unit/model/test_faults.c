/* test_faults.c - every step on the disk fails once; and what a power cut may leave is never
 * claimed. Everything runs on the loop thread, where fs_fault reaches it.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/model/lab.h"
#include "worker/model/ledger.h"

#define SIZE (3 * MIB + 99)

static struct fault {
	int at, code; /* fails at the at-th step; 0: never */
	int steps;
	char failed[32];
} fault;

static int fail_once(const char *step, const char *path)
{
	(void)path;
	if (++fault.steps != fault.at)
		return 0;
	snprintf(fault.failed, sizeof fault.failed, "%s", step);
	return fault.code;
}

static char hex[SHA256_HEX_LEN];

/* The store may fail or not (a step may not matter); the next attempt succeeds, without a trace. */
static void try_fault(int at, int code)
{
	struct lab *l = lab_new(SIZE, true);
	struct source_file f = lab_file(l, hex);
	fault = (struct fault){.at = at, .code = code};
	fs_fault = fail_once;
	struct held h = lab_fetch(l, &f);
	fs_fault = NULL;
	if (h.err.code) {
		assert_int_equal(h.err.code, code);
		assert_true(h.retryable);
		assert_true(h.err.text[0]);
		assert_true(fault.steps >= at);
		await_that(l, list_empty(&l->store->downloads));
		h = lab_fetch(l, &f);
	}
	if (strcmp(fault.failed, "unlink") == 0) { /* a ledger without its part claims nothing */
		auto_free char *ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
		(void)unlink(ledger);
	}
	assert_fetched(l, &h, SIZE);
	lab_free(l);
}

static void any_step_may_fail(void **state)
{
	struct lab *l = lab_new(SIZE, true);
	(void)state;
	sha256_hex(l->body, SIZE, hex);
	struct source_file f = lab_file(l, hex);
	fault = (struct fault){0};
	fs_fault = fail_once;
	struct held h = lab_fetch(l, &f);
	fs_fault = NULL;
	assert_fetched(l, &h, SIZE);
	lab_free(l);
	int steps = fault.steps;
	assert_in_range(steps, 30, 400);
	for (int i = 1; i <= steps; i++) {
		try_fault(i, EIO);
		try_fault(i, ENOSPC);
	}
}

/* ---- power cuts ---- */

static struct disk {
	struct lab *lab;
	char *part, *ledger;
	unsigned char *image, *pending; /* what is on the disk for sure; after the sync that runs */
	size_t len, pending_len;
	bool syncing, renamed;
	int looks;
	uint64_t most;
	struct ledger seen;
} disk;

/* The worst case: the newest ledger reached the disk, of the data only what was synced did. */
static void look(void)
{
	struct err e = ERR_INIT;
	if (ledger_load(disk.ledger, &disk.seen, &e) < 0)
		return;
	disk.looks++;
	for (size_t i = 0; i < disk.seen.synced.n; i++) {
		const struct extent *x = &disk.seen.synced.spans[i];
		assert_true(x->to <= disk.len);
		assert_memory_equal(disk.image + x->from, disk.lab->body + x->from,
				    x->to - x->from);
		disk.most = x->to > disk.most ? x->to : disk.most;
	}
}

static void sync_begins(void)
{
	char *data = NULL;
	size_t n = 0;
	assert_int_equal(fs_read(disk.part, BODY_MAX, &data, &n, NULL), 0);
	memcpy(disk.pending, data, n);
	disk.pending_len = n;
	disk.syncing = true;
	free(data);
}

static int watch(const char *step, const char *path)
{
	if (disk.syncing) {
		memcpy(disk.image, disk.pending, disk.pending_len);
		disk.len = disk.pending_len;
		disk.syncing = false;
	}
	look();
	if (strcmp(step, "fsync") == 0 && strcmp(path, disk.part) == 0)
		sync_begins();
	if (strcmp(step, "rename") == 0 && strstr(path, "/model/m.gguf")) {
		disk.renamed = true;
		assert_int_equal(disk.len, SIZE);
		assert_memory_equal(disk.image, disk.lab->body, SIZE);
	}
	return 0;
}

static void no_claim_before_the_disk_has_it(void **state)
{
	struct lab *l = lab_new(SIZE, true);
	(void)state;
	sha256_hex(l->body, SIZE, hex);
	disk = (struct disk){.lab = l,
			     .part = name_path(l->root, "model", "m.gguf", NAME_PART),
			     .ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER),
			     .image = xcalloc(1, BODY_MAX),
			     .pending = xcalloc(1, BODY_MAX)};
	atomic_store(&l->site->rate, 3u * MIB); /* slow enough for several syncs */
	struct source_file f = lab_file(l, hex);
	fs_fault = watch;
	struct held h = lab_fetch(l, &f);
	fs_fault = NULL;
	assert_fetched(l, &h, SIZE);
	assert_true(disk.renamed);
	assert_true(disk.looks > 5);
	assert_true(disk.most > 0); /* something was claimed at all */
	free(disk.part);
	free(disk.ledger);
	free(disk.image);
	free(disk.pending);
	lab_free(l);
}

/* Half a download; returns what its ledger says. */
static struct ledger *half(struct lab *l, const char *ledger)
{
	struct held h;
	struct ledger *g = xcalloc(1, sizeof *g);
	struct source_file f = lab_file(l, hex);
	atomic_store(&l->site->rate, 1u * MIB);
	hold_file(l, &h, "model", &f);
	await_that(l, ledger_load(ledger, g, NULL) == 0 && g->synced.n &&
			  extents_bytes(&g->written) > extents_bytes(&g->synced));
	hold_release(h.hold);
	await_that(l, list_empty(&l->store->downloads));
	assert_int_equal(ledger_load(ledger, g, NULL), 0);
	atomic_store(&l->site->rate, 0);
	return g;
}

/* Overwrites what the file holds outside of x. */
static void lose(const char *part, const struct extents *x)
{
	struct extent gap;
	uint64_t size, at = 0;
	assert_int_equal(fs_size(part, &size, NULL), 0);
	FILE *f = fopen(part, "r+");
	assert_non_null(f);
	while (extents_gap(x, at, size, &gap)) {
		assert_int_equal(fseek(f, (long)gap.from, SEEK_SET), 0);
		for (at = gap.from; at < gap.to; at++)
			assert_int_not_equal(fputc(0, f), EOF);
	}
	fclose(f);
}

static void after_a_power_cut(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	struct err e = ERR_INIT;
	(void)state;
	sha256_hex(l->body, SIZE, hex);
	auto_free char *part = name_path(l->root, "model", "m.gguf", NAME_PART);
	auto_free char *ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
	struct ledger *g = half(l, ledger);
	uint64_t synced = extents_bytes(&g->synced);
	assert_true(synced > 0);
	lose(part, &g->synced);
	snprintf(g->boot, sizeof g->boot, "an earlier one");
	int fd = ledger_open(ledger, &e);
	assert_int_equal(ledger_save(fd, ledger, g, true, &e), 0);
	close(fd);
	size_t served = atomic_load(&l->site->served);
	l->store->tune.piece = 64u << 20;
	struct source_file f = lab_file(l, hex);
	int wrong = atomic_load(&l->site->whole_requests);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_int_equal(atomic_load(&l->site->whole_requests), wrong);
	assert_true(atomic_load(&l->site->served) - served <= SIZE - synced + MIB);
	assert_null(strstr(l->said, "once more")); /* the hash was right at once */
	free(g);
	lab_free(l);
}

static void a_shorter_part_or_a_bad_ledger(void **state)
{
	(void)state;
	for (int mode = 0; mode < 3; mode++) {
		struct lab *l = lab_new(SIZE, false);
		sha256_hex(l->body, SIZE, hex);
		auto_free char *part = name_path(l->root, "model", "m.gguf", NAME_PART);
		auto_free char *ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
		free(half(l, ledger));
		if (mode == 0)
			assert_int_equal(truncate(part, 1000), 0);
		if (mode == 1)
			assert_int_equal(unlink(part), 0);
		if (mode == 2)
			assert_int_equal(fs_write_atomic(ledger, "noise", 5, 0644, NULL), 0);
		struct source_file f = lab_file(l, hex);
		struct held h = lab_fetch(l, &f);
		assert_fetched(l, &h, SIZE);
		assert_null(strstr(l->said, "once more"));
		lab_free(l);
	}
}

static void another_hash_is_another_file(void **state)
{
	struct lab *l = lab_new(SIZE, false);
	(void)state;
	sha256_hex(l->body, SIZE, hex);
	auto_free char *ledger = name_path(l->root, "model", "m.gguf", NAME_LEDGER);
	free(half(l, ledger));
	l->site->body = l->other;
	snprintf(l->site->etag, sizeof l->site->etag, "\"two\"");
	sha256_hex(l->other, SIZE, hex);
	struct source_file f = lab_file(l, hex);
	struct held h = lab_fetch(l, &f);
	assert_fetched(l, &h, SIZE);
	assert_null(strstr(l->said, "once more"));
	lab_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_step_may_fail),
	    cmocka_unit_test(no_claim_before_the_disk_has_it),
	    cmocka_unit_test(after_a_power_cut),
	    cmocka_unit_test(a_shorter_part_or_a_bad_ledger),
	    cmocka_unit_test(another_hash_is_another_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
