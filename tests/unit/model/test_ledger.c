/* test_ledger.c - what a ledger may claim, and what is left of a damaged one.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "worker/model/ledger.h"

static struct ledger *sample(void)
{
	struct ledger *l = xcalloc(1, sizeof *l);
	snprintf(l->url, sizeof l->url, "https://host/a b?c=d");
	snprintf(l->etag, sizeof l->etag, "\"x y\"");
	snprintf(l->boot, sizeof l->boot, "boot-1");
	l->seq = 7;
	l->total = 5000000000;
	assert_true(extents_add(&l->written, 0, 3000000000));
	assert_true(extents_add(&l->written, 4000000000, 4000000001));
	assert_true(extents_add(&l->synced, 0, 5));
	return l;
}

static void there_and_back(void **state)
{
	struct ledger *l = sample(), *m = xcalloc(1, sizeof *m);
	char text[LEDGER_SLOT_BYTES];
	struct err e = ERR_INIT;
	(void)state;
	size_t n = ledger_encode(l, text);
	assert_true(n > 0);
	assert_int_equal(ledger_decode(text, n, m, &e), 0);
	assert_memory_equal(l, m, sizeof *l);
	free(l);
	free(m);
}

static void no_line_break_gets_in(void **state)
{
	struct ledger *l = sample();
	char text[LEDGER_SLOT_BYTES];
	(void)state;
	snprintf(l->url, sizeof l->url, "https://host/\nwritten 0-5000000000");
	assert_int_equal(ledger_encode(l, text), 0);
	free(l);
}

static void any_flipped_byte_is_seen(void **state)
{
	struct ledger *l = sample(), *m = xcalloc(1, sizeof *m);
	char text[LEDGER_SLOT_BYTES];
	(void)state;
	size_t n = ledger_encode(l, text);
	for (size_t i = 0; i + 1 < n; i++) {
		struct err e = ERR_INIT;
		text[i] ^= 1;
		assert_int_equal(ledger_decode(text, n, m, &e), -EPROTO);
		assert_int_equal(m->total, 0);
		text[i] ^= 1;
		assert_int_equal(ledger_decode(text, i, m, &e), -EPROTO); /* and any cut */
	}
	free(l);
	free(m);
}

static void a_torn_slot_leaves_the_other(void **state)
{
	char path[] = "/tmp/test-ledger-XXXXXX";
	struct ledger *l = sample(), *m = xcalloc(1, sizeof *m);
	struct err e = ERR_INIT;
	(void)state;
	close(mkstemp(path));
	int fd = ledger_open(path, &e);
	assert_true(fd >= 0);
	assert_int_equal(ledger_load(path, m, &e), -EPROTO);
	assert_int_equal(ledger_save(fd, path, l, true, &e), 0); /* 8 */
	assert_true(extents_add(&l->synced, 5, 100));
	assert_int_equal(ledger_save(fd, path, l, false, &e), 0); /* 9 */
	assert_int_equal(ledger_load(path, m, &e), 0);
	assert_int_equal(m->seq, 9);
	assert_int_equal(pwrite(fd, "torn", 4, LEDGER_SLOT_BYTES + 40), 4);
	assert_int_equal(ledger_load(path, m, &e), 0);
	assert_int_equal(m->seq, 8);
	assert_int_equal(extents_bytes(&m->synced), 5);
	close(fd);
	unlink(path);
	free(l);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(no_line_break_gets_in),
	    cmocka_unit_test(any_flipped_byte_is_seen),
	    cmocka_unit_test(a_torn_slot_leaves_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
