/* test_journal.c - the file of JSON results: found again, started over, thinned out, and read as
 * far as it is whole. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "lib/fs/journal.h"

struct found {
	size_t n;
	uint64_t ids[2048];
	char *bodies[2048];
};

static char dir[64];
static char *path;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/journal-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	path = fs_join(dir, "log");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(path);
	return fs_remove_tree(dir, NULL);
}

static void collect(void *arg, uint64_t id, const char *head, size_t head_len, const char *body,
		    size_t body_len)
{
	struct found *f = arg;
	assert_true(f->n < ARRAY_LEN(f->ids));
	assert_int_equal(head_len, 2);
	assert_memory_equal(head, "{}", 2);
	f->ids[f->n] = id;
	f->bodies[f->n++] = xstrndup(body, body_len);
}

static void forget(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->bodies[i]);
	f->n = 0;
}

static struct journal *reopen(struct found *f, bool *torn)
{
	struct journal *j = journal_new(path);
	assert_int_equal(journal_load(j, collect, f, torn, NULL), 0);
	return j;
}

static uint64_t put(struct journal *j, const char *body)
{
	uint64_t id = 0;
	assert_int_equal(journal_put(j, "{}", body, &id, NULL), 0);
	return id;
}

static void keeps_what_is_not_dropped(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	struct journal *j = reopen(&f, &torn);
	assert_int_equal(f.n, 0);
	uint64_t a = put(j, "first"), b = put(j, "second"), c = put(j, "third");
	assert_true(a < b && b < c);
	assert_int_equal(journal_drop(j, b, NULL), 0);
	journal_free(j);
	j = reopen(&f, &torn);
	assert_false(torn);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.bodies[0], "first");
	assert_string_equal(f.bodies[1], "third");
	assert_int_equal(f.ids[1], c);
	assert_true(put(j, "fourth") > c);
	forget(&f);
	journal_free(j);
}

/* When nothing is alive the file starts over, and what lies behind is never read again. */
static void starts_over(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	struct journal *j = reopen(&f, &torn);
	struct rng rng;
	uint64_t size = 0;
	rng_init_seeded(&rng, 3);
	for (int i = 0; i < 500; i++) {
		char body[600];
		size_t len = (size_t)rng_below(&rng, sizeof body);
		memset(body, 'x', len);
		body[len ? len - 1 : 0] = '\0';
		uint64_t id = put(j, body);
		if (i % 7 == 0) {
			journal_free(j);
			j = reopen(&f, &torn);
			assert_false(torn);
			assert_int_equal(f.n, 1);
			assert_string_equal(f.bodies[0], body);
			forget(&f);
		}
		assert_int_equal(journal_drop(j, id, NULL), 0);
	}
	journal_free(j);
	j = reopen(&f, &torn);
	assert_int_equal(f.n, 0);
	assert_int_equal(fs_size(path, &size, NULL), 0);
	assert_int_equal(size, 64 << 10);
	journal_free(j);
}

/* One that stays keeps the file from starting over; the dead among which it lies are thrown out. */
static void is_thinned_out(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	struct journal *j = reopen(&f, &torn);
	auto_free char *big = xmalloc(100001);
	uint64_t size = 0;
	memset(big, 'b', 100000);
	big[100000] = '\0';
	uint64_t stays = put(j, "stays");
	for (int i = 0; i < 200; i++)
		assert_int_equal(journal_drop(j, put(j, big), NULL), 0);
	assert_int_equal(fs_size(path, &size, NULL), 0);
	assert_in_range(size, 1, 6 << 20);
	uint64_t later = put(j, "later");
	journal_free(j);
	j = reopen(&f, &torn);
	assert_false(torn);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.ids[0], stays);
	assert_string_equal(f.bodies[0], "stays");
	assert_int_equal(f.ids[1], later);
	forget(&f);
	assert_int_equal(journal_drop(j, stays, NULL), 0); /* the id is still its own */
	journal_free(j);
	j = reopen(&f, &torn);
	assert_int_equal(f.n, 1);
	forget(&f);
	journal_free(j);
}

/* Cut or damaged anywhere: what comes before is read, nothing invented. */
static void damage_anywhere(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	auto_free char *whole = NULL;
	size_t len;
	struct journal *j = reopen(&f, &torn);
	put(j, "alpha");
	put(j, "beta");
	put(j, "gamma");
	journal_free(j);
	assert_int_equal(fs_read(path, 1 << 20, &whole, &len, NULL), 0);
	static const char *const bodies[] = {"alpha", "beta", "gamma"};
	for (size_t at = 0; at < 400; at++) {
		char was = whole[at];
		whole[at] ^= 0x11;
		assert_int_equal(fs_write_atomic(path, whole, len, 0600, NULL), 0);
		whole[at] = was;
		j = reopen(&f, &torn);
		assert_true(f.n <= 3);
		for (size_t i = 0; i < f.n; i++)
			assert_string_equal(f.bodies[i], bodies[i]);
		forget(&f);
		journal_free(j);
	}
	for (size_t cut = 0; cut < 400; cut++) {
		assert_int_equal(fs_write_atomic(path, whole, cut, 0600, NULL), 0);
		j = reopen(&f, &torn);
		for (size_t i = 0; i < f.n; i++)
			assert_string_equal(f.bodies[i], bodies[i]);
		forget(&f);
		journal_free(j);
	}
}

static int only_fsync(const char *step, const char *p)
{
	(void)p;
	return strcmp(step, "fsync") == 0 ? 5 /* EIO */ : 0;
}

static void what_was_not_synced_is_taken_back(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	uint64_t id;
	struct journal *j = reopen(&f, &torn);
	put(j, "safe");
	fs_fault = only_fsync;
	assert_true(journal_put(j, "{}", "unsafe", &id, NULL) < 0);
	fs_fault = NULL;
	journal_free(j);
	j = reopen(&f, &torn);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.bodies[0], "safe");
	forget(&f);
	journal_free(j);
}

static unsigned renames;
static int syncdir_code;

/* The folder can't be synced once a rename was done. */
static int syncdir_after_rename(const char *step, const char *p)
{
	(void)p;
	renames += strcmp(step, "rename") == 0;
	return renames && strcmp(step, "syncdir") == 0 ? syncdir_code : 0;
}

/* The thinned out file is in place, but its name not safe: no record may be confirmed that goes to
 * the old one, nor to the new one before its name is. */
static void thinned_out_but_not_synced(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	uint64_t id;
	struct err e = ERR_INIT;
	struct journal *j = reopen(&f, &torn);
	auto_free char *big = xmalloc(100001);
	memset(big, 'b', 100000);
	big[100000] = '\0';
	put(j, "stays");
	for (int i = 0; i < 42; i++)
		assert_int_equal(journal_drop(j, put(j, big), NULL), 0);
	renames = 0;
	syncdir_code = 5; /* EIO */
	fs_fault = syncdir_after_rename;
	assert_int_equal(journal_put(j, "{}", "lost", &id, &e), -5);
	assert_int_equal(renames, 1);
	assert_int_equal(journal_put(j, "{}", "lost", &id, &e), -5);
	syncdir_code = 0;
	put(j, "later");
	fs_fault = NULL;
	journal_free(j);
	j = reopen(&f, &torn);
	assert_false(torn);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.bodies[0], "stays");
	assert_string_equal(f.bodies[1], "later");
	forget(&f);
	journal_free(j);
}

static void what_could_not_be_read_is_not_overwritten(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	uint64_t id;
	struct err e = ERR_INIT;
	struct rlimit was, none;
	struct journal *j = reopen(&f, &torn);
	put(j, "old");
	journal_free(j);
	j = journal_new(path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0; /* EMFILE */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = journal_load(j, collect, &f, &torn, &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(rc < 0);
	err_clear(&e);
	assert_int_equal(journal_put(j, "{}", "new", &id, &e), rc);
	assert_non_null(strstr(e.text, "Too many open files"));
	assert_int_equal(journal_drop(j, 1, NULL), rc);
	journal_free(j);
	j = reopen(&f, &torn);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.bodies[0], "old");
	forget(&f);
	journal_free(j);
}

/* A look at the file beside the one who writes it takes nothing away. */
static void loading_changes_nothing(void **state)
{
	(void)state;
	struct found f = {0};
	bool torn;
	uint64_t size = 0;
	static const char older[] = "\0\0\0\0 what a round before left";
	assert_int_equal(fs_write_atomic(path, older, sizeof older, 0600, NULL), 0);
	struct journal *j = reopen(&f, &torn);
	assert_int_equal(fs_size(path, &size, NULL), 0);
	assert_int_equal(size, sizeof older);
	put(j, "new");
	journal_free(j);
	j = reopen(&f, &torn);
	assert_false(torn);
	assert_int_equal(f.n, 1);
	forget(&f);
	journal_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(keeps_what_is_not_dropped, setup, teardown),
	    cmocka_unit_test_setup_teardown(starts_over, setup, teardown),
	    cmocka_unit_test_setup_teardown(is_thinned_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_anywhere, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_was_not_synced_is_taken_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(loading_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(thinned_out_but_not_synced, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_could_not_be_read_is_not_overwritten, setup,
					    teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
