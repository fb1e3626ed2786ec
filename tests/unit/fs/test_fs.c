/* Files: whole or not at all at every failing step, folders, locks.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

struct fixture {
	char dir[64];
	char *file;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	strcpy(f->dir, "/tmp/fs-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->file = fs_join(f->dir, "file");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fs_fault = NULL;
	assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
	assert_false(fs_exists(f->dir));
	free(f->file);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void assert_file(const char *path, const char *want)
{
	char *data;
	size_t len;
	assert_int_equal(fs_read(path, 1000, &data, &len, NULL), 0);
	assert_string_equal(data, want);
	assert_int_equal(len, strlen(want));
	free(data);
}

static size_t count(const char *dir)
{
	char **names;
	size_t n;
	assert_int_equal(fs_list(dir, &names, &n, NULL), 0);
	fs_list_free(names, n);
	return n;
}

static void test_write_and_read(void **state)
{
	struct fixture *f = *state;
	write_file(f->file, "one");
	assert_file(f->file, "one");
	write_file(f->file, "");
	assert_file(f->file, "");
	struct stat st;
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count(f->dir), 1);
	uint64_t size = 1;
	assert_int_equal(fs_size(f->file, &size, NULL), 0);
	assert_int_equal(size, 0);
}

static void test_read_refuses(void **state)
{
	struct fixture *f = *state;
	char *data;
	size_t len;
	struct err e = ERR_INIT;
	assert_int_equal(fs_read(f->file, 10, &data, &len, &e), -ENOENT);
	assert_non_null(strstr(e.text, f->file));
	assert_null(data);
	write_file(f->file, "0123456789");
	assert_int_equal(fs_read(f->file, 9, &data, &len, NULL), -EFBIG);
	assert_int_equal(fs_read(f->file, 10, &data, &len, NULL), 0);
	free(data);
	assert_int_equal(fs_read(f->dir, 10, &data, &len, NULL), -EISDIR);
	auto_free char *fifo = fs_join(f->dir, "fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(fs_read(fifo, 10, &data, &len, NULL), -EINVAL);
}

/* The fault hook: step number fail_at fails with ENOSPC, from then on every one if fail_all. */
static int step_no, fail_at;
static bool fail_all;

static int fault(const char *step, const char *path)
{
	assert_non_null(step);
	assert_non_null(path);
	int now = step_no++;
	return now == fail_at || (fail_all && now > fail_at) ? ENOSPC : 0;
}

static void arm(int at, bool all)
{
	step_no = 0;
	fail_at = at;
	fail_all = all;
	fs_fault = fault;
}

/* Until the last step, which makes the rename durable, the old content stays. */
static void fail_every_step(struct fixture *f, bool all)
{
	for (int at = 0;; at++) {
		write_file(f->file, "old");
		arm(at, all);
		struct err e = ERR_INIT;
		int rc = fs_write_atomic(f->file, "new", 3, 0600, &e);
		fs_fault = NULL;
		if (rc == 0) {
			assert_int_equal(at, 5);
			assert_file(f->file, "new");
			return;
		}
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(e.code, ENOSPC);
		assert_file(f->file, at < 4 ? "old" : "new");
		if (!all)
			assert_int_equal(count(f->dir), 1);
	}
}

static void test_every_step_may_fail(void **state)
{
	fail_every_step(*state, false);
}

/* As after a crash: nothing can be cleaned up, and what stays is hidden. */
static void test_everything_fails_after(void **state)
{
	struct fixture *f = *state;
	fail_every_step(f, true);
	char **names;
	size_t n;
	assert_int_equal(fs_list(f->dir, &names, &n, NULL), 0);
	assert_true(n > 1);
	for (size_t i = 0; i + 1 < n; i++)
		assert_int_equal(names[i][0], '.');
	assert_string_equal(names[n - 1], "file");
	fs_list_free(names, n);
}

static void test_write_failures(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	auto_free char *missing = fs_join(f->dir, "no/such/file");
	assert_int_equal(fs_write_atomic(missing, "x", 1, 0600, &e), -ENOENT);
	assert_non_null(strstr(e.text, missing));
	assert_int_equal(fs_write_atomic(missing, "x", 1, 0600, NULL), -ENOENT);
	auto_free char *folder = fs_join(f->dir, "folder");
	assert_int_equal(fs_mkdirs(folder, 0700, NULL), 0);
	assert_int_equal(fs_write_atomic(folder, "x", 1, 0600, NULL), -EISDIR);
	assert_int_equal(count(f->dir), 1);
}

/* Another process with our id (a container's 1) may have left the very name we would take. */
static void test_leftover_temporary_names(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 200; i++) {
		auto_free char *tmp = xasprintf("%s/.file.tmp-%ld-%u", f->dir, (long)getpid(), i);
		close(open(tmp, O_CREAT | O_WRONLY, 0600));
	}
	write_file(f->file, "x");
	assert_file(f->file, "x");
	assert_int_equal(count(f->dir), 201);
}

static void test_writer(void **state)
{
	struct fixture *f = *state;
	struct fs_writer *w = fs_writer_open(f->file, 0640, NULL);
	assert_non_null(w);
	char hex[65], want[65];
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fs_writer_write(w, "0123456789", 10, NULL), 0);
	assert_int_equal(fs_writer_size(w), 10000);
	assert_false(fs_exists(f->file));
	assert_int_equal(fs_writer_commit(w, hex, NULL), 0);
	assert_int_equal(sha256_file(f->file, want, NULL), 0);
	assert_string_equal(hex, want);
	assert_int_equal(count(f->dir), 1);
}

static void test_writer_abort(void **state)
{
	struct fixture *f = *state;
	write_file(f->file, "old");
	struct fs_writer *w = fs_writer_open(f->file, 0600, NULL);
	assert_int_equal(fs_writer_write(w, "new", 3, NULL), 0);
	fs_writer_abort(w);
	fs_writer_abort(NULL);
	assert_file(f->file, "old");
	assert_int_equal(count(f->dir), 1);
}

static void test_writer_commit_failure(void **state)
{
	struct fixture *f = *state;
	struct fs_writer *w = fs_writer_open(f->file, 0600, NULL);
	assert_int_equal(fs_writer_write(w, "new", 3, NULL), 0);
	arm(0, false);
	struct err e = ERR_INIT;
	assert_int_equal(fs_writer_commit(w, NULL, &e), -ENOSPC);
	assert_int_equal(count(f->dir), 0);
}

static void test_mkdirs(void **state)
{
	struct fixture *f = *state;
	auto_free char *deep = fs_join(f->dir, "a/b//c/");
	assert_int_equal(fs_mkdirs(deep, 0700, NULL), 0);
	assert_int_equal(fs_mkdirs(deep, 0755, NULL), 0);
	struct stat st;
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(fs_mkdirs("/", 0700, NULL), 0);
	assert_int_equal(fs_mkdirs("", 0700, NULL), -EINVAL);
	write_file(f->file, "x");
	auto_free char *below = fs_join(f->file, "sub");
	struct err e = ERR_INIT;
	assert_int_equal(fs_mkdirs(f->file, 0700, NULL), -ENOTDIR);
	assert_int_equal(fs_mkdirs(below, 0700, &e), -ENOTDIR);
	assert_true(e.text[0]);
}

static void test_mkdirs_faults(void **state)
{
	struct fixture *f = *state;
	auto_free char *deep = fs_join(f->dir, "x/y");
	for (int at = 0; at < 4; at++) {
		arm(at, false);
		assert_int_equal(fs_mkdirs(deep, 0700, NULL), -ENOSPC);
		fs_fault = NULL;
		auto_free char *top = fs_join(f->dir, "x");
		assert_int_equal(fs_remove_tree(top, NULL), 0);
	}
}

static void test_remove_tree_does_not_follow(void **state)
{
	struct fixture *f = *state;
	auto_free char *tree = fs_join(f->dir, "tree");
	auto_free char *sub = fs_join(tree, "sub/deep");
	auto_free char *link = fs_join(sub, "link");
	auto_free char *outside = fs_join(f->dir, "outside");
	auto_free char *precious = fs_join(outside, "precious");
	assert_int_equal(fs_mkdirs(sub, 0700, NULL), 0);
	assert_int_equal(fs_mkdirs(outside, 0700, NULL), 0);
	write_file(precious, "x");
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(fs_remove_tree(tree, NULL), 0);
	assert_false(fs_exists(tree));
	assert_file(precious, "x");
	assert_int_equal(fs_remove_tree(tree, NULL), 0);
	assert_int_equal(symlink(outside, tree), 0);
	assert_int_equal(fs_remove_tree(tree, NULL), 0);
	assert_file(precious, "x");
}

static void test_remove_tree_is_bounded(void **state)
{
	struct fixture *f = *state;
	auto_free char *path = xstrdup(f->dir);
	for (int i = 0; i < 80; i++) {
		auto_free char *next = fs_join(path, "d");
		str_replace(&path, next);
	}
	assert_int_equal(fs_mkdirs(path, 0700, NULL), 0);
	auto_free char *top = fs_join(f->dir, "d");
	assert_int_equal(fs_remove_tree(top, NULL), -ELOOP);
	/* From further down it goes. */
	auto_free char *half = xstrndup(path, strlen(path) - 2 * (size_t)40);
	assert_int_equal(fs_remove_tree(half, NULL), 0);
}

static void test_rename(void **state)
{
	struct fixture *f = *state;
	auto_free char *to = fs_join(f->dir, "to");
	write_file(f->file, "x");
	assert_int_equal(fs_rename(f->file, to, NULL), 0);
	assert_file(to, "x");
	struct err e = ERR_INIT;
	assert_int_equal(fs_rename(f->file, to, &e), -ENOENT);
	assert_non_null(strstr(e.text, to));
	arm(0, false);
	assert_int_equal(fs_rename(to, f->file, NULL), -ENOSPC);
	fs_fault = NULL;
	assert_file(to, "x");
	assert_int_equal(fs_sync_file(to, NULL), 0);
	assert_int_equal(fs_sync_dir(f->dir, NULL), 0);
	assert_true(fs_sync_dir(to, NULL) < 0);
}

static void test_list_is_sorted(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"b", "a", "c", ".h"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_free char *path = fs_join(f->dir, names[i]);
		write_file(path, "");
	}
	char **got;
	size_t n;
	assert_int_equal(fs_list(f->dir, &got, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_string_equal(got[0], ".h");
	assert_string_equal(got[1], "a");
	assert_string_equal(got[3], "c");
	fs_list_free(got, n);
	assert_int_equal(fs_list(f->file, &got, &n, NULL), -ENOENT);
	assert_int_equal(n, 0);
}

static void test_paths(void **state)
{
	(void)state;
	setenv("HOME", "/home/x", 1);
	static const char *const rows[][2] = {
	    {"~", "/home/x"}, {"~/", "/home/x"}, {"~/models", "/home/x/models"},
	    {"~bob", "~bob"}, {"/a/~", "/a/~"},	 {"", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *got = fs_expand_home(rows[i][0]);
		assert_string_equal(got, rows[i][1]);
	}
	auto_free char *a = fs_join("/x", "y"), *b = fs_join("/x/", "y"), *c = fs_join("/", "y");
	assert_string_equal(a, "/x/y");
	assert_string_equal(b, "/x/y");
	assert_string_equal(c, "/y");
}

static void test_lock(void **state)
{
	struct fixture *f = *state;
	int fd = fs_lock(f->file, NULL);
	assert_true(fd >= 0);
	struct err e = ERR_INIT;
	assert_int_equal(fs_lock(f->file, &e), -EWOULDBLOCK);
	assert_non_null(strstr(e.text, f->file));
	pid_t pid = fork();
	if (pid == 0)
		_exit(fs_lock(f->file, NULL) == -EWOULDBLOCK ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fs_unlock(fd);
	fs_unlock(-1);
	/* Released by the end of a process, however it ends. */
	pid = fork();
	if (pid == 0) {
		if (fs_lock(f->file, NULL) >= 0)
			abort();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	fd = fs_lock(f->file, NULL);
	assert_true(fd >= 0);
	fs_unlock(fd);
	auto_free char *missing = fs_join(f->dir, "no/lock");
	assert_int_equal(fs_lock(missing, NULL), -ENOENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_write_and_read),
	    T(test_read_refuses),
	    T(test_every_step_may_fail),
	    T(test_everything_fails_after),
	    T(test_write_failures),
	    T(test_leftover_temporary_names),
	    T(test_writer),
	    T(test_writer_abort),
	    T(test_writer_commit_failure),
	    T(test_mkdirs),
	    T(test_mkdirs_faults),
	    T(test_remove_tree_does_not_follow),
	    T(test_remove_tree_is_bounded),
	    T(test_rename),
	    T(test_list_is_sorted),
	    T(test_paths),
	    T(test_lock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
