/* SHA-256 against the vectors of FIPS 180-4.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "lib/base/mem.h"
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define LONG  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_vectors(void **state)
{
	(void)state;
	char hex[SHA256_HEX_LEN];
	sha256_hex("", 0, hex);
	assert_string_equal(hex, EMPTY);
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, ABC);
	unsigned char raw[32];
	sha256_raw("abc", 3, raw);
	assert_int_equal(raw[0], 0xba);
	assert_int_equal(raw[31], 0xad);
}

static void test_streaming(void **state)
{
	(void)state;
	char hex[SHA256_HEX_LEN];
	struct sha256 *s = sha256_new();
	for (int i = 0; i < 1000000; i += 1000) {
		char chunk[1000];
		memset(chunk, 'a', sizeof chunk);
		sha256_update(s, chunk, sizeof chunk);
	}
	sha256_final_hex(s, hex);
	assert_string_equal(hex, LONG);
	sha256_free(sha256_new());
	sha256_free(NULL);
}

static void test_file(void **state)
{
	(void)state;
	char hex[SHA256_HEX_LEN];
	struct err e = ERR_INIT;
	char dir[] = "/tmp/sha256-XXXXXX";
	assert_non_null(mkdtemp(dir));
	auto_free char *empty = xasprintf("%s/empty", dir);
	auto_free char *fifo = xasprintf("%s/fifo", dir);
	assert_int_equal(fs_write_atomic(empty, "", 0, 0600, NULL), 0);
	assert_int_equal(sha256_file(empty, hex, NULL), 0);
	assert_string_equal(hex, EMPTY);
	/* Nobody writes to it: opening must not wait. */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(sha256_file(fifo, hex, &e), -EINVAL);
	atomic_bool stop = false;
	assert_int_equal(sha256_file_until(empty, &stop, hex, &e), 0);
	assert_string_equal(hex, EMPTY);
	stop = true;
	err_clear(&e);
	assert_int_equal(sha256_file_until(empty, &stop, hex, &e), -ECANCELED);
	err_clear(&e);
	fs_remove_tree(dir, NULL);
	assert_int_equal(sha256_file("/no/such/file", hex, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/no/such/file"));
	assert_int_equal(sha256_file("/tmp", hex, &e), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_streaming),
	    cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
