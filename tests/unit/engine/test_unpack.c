/* Archives into a folder, and those that would rather go elsewhere.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fs/fs.h"
#include "tests/unit/engine/prebuilt_archives.h"
#include "worker/engine/sd-cpp/unpack.h"

static char archives[] = "/tmp/unpack-archives-XXXXXX";
static const struct unpack_limits limits = {.bytes = 2u << 20, .entries = 50};

struct place {
	char dir[64], *root;
	atomic_bool stop;
};

static int try_one(struct place *p, const char *name, struct err *e)
{
	auto_free char *path = fs_join(archives, name);
	int rc = unpack(path, p->root, &limits, &p->stop, e);
	assert_int_equal(rc, -e->code);
	return rc;
}

static mode_t mode_of(struct place *p, const char *name)
{
	struct stat st;
	auto_free char *path = fs_join(p->root, name);
	if (lstat(path, &st) < 0)
		fail_msg("%s is missing", path);
	return st.st_mode;
}

static void expect_library(struct place *p, const char *name)
{
	struct err e = ERR_INIT;
	uint64_t size = 0;
	auto_free char *path = fs_join(p->root, name);
	assert_int_equal(fs_size(path, &size, &e), 0);
	assert_int_equal(size, 300004);
}

static void a_zip(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	assert_int_equal(try_one(p, "good.zip", &e), 0);
	assert_int_equal(mode_of(p, "sd-cli"), S_IFREG | 0700);
	assert_int_equal(mode_of(p, "sd-server"), S_IFREG | 0600);
	assert_true(S_ISLNK(mode_of(p, "libggml.so")));
	expect_library(p, "libggml.so.0");
}

static void tars(void **state)
{
	struct place *p = *state;
	static const char *const names[] = {"good.tar.gz", "good.tar.xz", "good.tar"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err e = ERR_INIT;
		assert_int_equal(try_one(p, names[i], &e), 0);
		/* No set-user-id bit, nothing for others. */
		assert_int_equal(mode_of(p, "build/bin/sd-server"), S_IFREG | 0700);
		assert_int_equal(mode_of(p, "build/bin"), S_IFDIR | 0700);
		expect_library(p, "build/bin/libggml.so.0");
		fs_remove_tree(p->root, &e);
		assert_int_equal(fs_mkdir(p->root, 0700, &e), 0);
	}
}

static void hostile_ones_are_refused(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *name;
		int code; /* 0: any */
	} rows[] = {
	    {"bad-absolute.tar.gz", EPERM},
	    {"bad-up.tar.gz", EPERM},
	    {"bad-up-inside.tar.gz", EPERM},
	    {"bad-dot.tar.gz", EPERM},
	    {"bad-empty-part.tar.gz", EPERM},
	    {"bad-backslash.tar.gz", EPERM},
	    {"bad-control.tar.gz", EPERM},
	    {"bad-long.tar.gz", EPERM},
	    {"bad-deep.tar.gz", EPERM},
	    {"bad-twice.tar.gz", EEXIST},
	    {"bad-link-up.tar.gz", EPERM},
	    {"bad-link-absolute.tar.gz", EPERM},
	    {"bad-link-dotdot.tar.gz", EPERM},
	    {"bad-link-nowhere.tar.gz", EPERM},
	    {"bad-link-circle.tar.gz", EPERM},
	    {"bad-link-folder.tar.gz", EPERM},
	    {"bad-through-link.tar.gz", EEXIST},
	    {"bad-file-as-folder.tar.gz", 0},
	    {"bad-hardlink.tar.gz", EPERM},
	    {"bad-hardlink-inside.tar.gz", EPERM},
	    {"bad-fifo.tar.gz", EPERM},
	    {"bad-device.tar.gz", EPERM},
	    {"bad-many.tar.gz", E2BIG},
	    {"bad-large.tar.gz", EFBIG},
	    {"bad-empty.tar.gz", EBADMSG},
	    {"bad-up.zip", EPERM},
	    {"bad-link.zip", EPERM},
	    {"bad-cut.zip", 0},
	    {"bad-cut.tar.gz", EBADMSG},
	    {"bad-text.zip", EBADMSG},
	    {"not there", EBADMSG},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		int rc = try_one(p, rows[i].name, &e);
		if (!rc || (rows[i].code && e.code != rows[i].code))
			fail_msg("%s: %d '%s'", rows[i].name, rc, e.text);
		fs_remove_tree(p->root, NULL);
		/* Nothing came beside the folder. */
		char **names = NULL;
		size_t n = 0;
		assert_int_equal(fs_list(p->dir, &names, &n, &e), 0);
		assert_int_equal(n, 0);
		fs_list_free(names, n);
		assert_int_equal(fs_mkdir(p->root, 0700, &e), 0);
	}
	assert_false(fs_exists("/tmp/evil-prebuilt"));
}

static void it_stops_when_told(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	atomic_store(&p->stop, true);
	assert_int_equal(try_one(p, "good.zip", &e), -ECANCELED);
}

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof *p);
	struct err e = ERR_INIT;
	strcpy(p->dir, "/tmp/unpack-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	p->root = fs_join(p->dir, "root");
	*state = p;
	return fs_mkdir(p->root, 0700, &e);
}

static int teardown(void **state)
{
	struct place *p = *state;
	fs_remove_tree(p->dir, NULL);
	free(p->root);
	free(p);
	return 0;
}

static int make_archives(void **state)
{
	(void)state;
	return archives_make(archives);
}

static int remove_archives(void **state)
{
	(void)state;
	return fs_remove_tree(archives, NULL);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_zip),
	    test(tars),
	    test(hostile_ones_are_refused),
	    test(it_stops_when_told),
	};
	return cmocka_run_group_tests(tests, make_archives, remove_archives);
}
