/* test_folder.c - results in a folder: names, visibility, and a kill at any step.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "studio/blob/blob.h"

/* A pool that works when told to. */
struct slow_pool {
	struct pool pool;
	struct list works;
};

struct fixture {
	char dir[64];
	struct slow_pool pool;
	struct clock clock;
	struct log log;
	struct blob_store *b;
	int replies;
	struct err err;
	uint64_t bytes;
	char hex[65];
	size_t n;
	char first[256];
};

static void submit(struct pool *p, struct work *w)
{
	list_push_back(&((struct slow_pool *)(void *)p)->works, &w->node);
}

static void work(struct fixture *f)
{
	struct list_node *n;
	while ((n = list_pop_front(&f->pool.works))) {
		struct work *w = list_entry(n, struct work, node);
		w->run(w);
		w->after(w);
	}
}

static void open_store(struct fixture *f)
{
	struct err e = ERR_INIT;
	f->b = blob_folder_open(&f->pool.pool, &f->log, f->dir, &e);
	assert_string_equal(e.text, "");
}

static struct fixture *make(void)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/test-blob-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->pool.pool.submit = submit;
	list_init(&f->pool.works);
	clock_init(&f->clock);
	log_init(&f->log, &f->clock);
	open_store(f);
	return f;
}

static int set_up(void **state)
{
	*state = make();
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	f->b->ops->close(f->b);
	work(f);
	fs_fault = NULL;
	assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
	free(f);
	return 0;
}

static void stored(void *arg, const struct err *err, uint64_t bytes, const char *hex)
{
	struct fixture *f = arg;
	f->replies++;
	f->err = *err;
	f->bytes = bytes;
	snprintf(f->hex, sizeof(f->hex), "%s", hex);
}

static void listed(void *arg, const struct err *err, char *const *names, size_t n)
{
	struct fixture *f = arg;
	f->replies++;
	f->err = *err;
	f->n = n;
	snprintf(f->first, sizeof(f->first), "%s", n ? names[0] : "");
}

static size_t count(struct fixture *f)
{
	f->b->ops->list(f->b, listed, f);
	work(f);
	return f->n;
}

static struct blob_writer *begin(struct fixture *f, const char *name)
{
	struct err e = ERR_INIT;
	struct blob_writer *w = f->b->ops->open(f->b, name, &e);
	assert_string_equal(e.text, "");
	return w;
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"",	  ".",	  "..",	 ".hidden", "a/b",
					  "../x", "a\nb", "a b", "\xc3\xa4"};
	char name[202];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		assert_false(blob_name_valid(bad[i]));
		assert_null(f->b->ops->open(f->b, bad[i], &e));
		assert_int_equal(e.code, EINVAL);
		assert_null(f->b->ops->path(f->b, bad[i], &e));
		f->b->ops->remove(f->b, bad[i]);
	}
	memset(name, 'a', 201);
	name[201] = '\0';
	assert_false(blob_name_valid(name));
	name[200] = '\0';
	assert_true(blob_name_valid(name));
}

static void test_visible_after_commit(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = begin(f, "a.png");
	struct err e = ERR_INIT;
	struct stat st;
	char hex[65];
	assert_int_equal(f->b->ops->write(w, "hello ", 6, &e), 0);
	assert_int_equal(f->b->ops->write(w, "world", 5, &e), 0);
	assert_int_equal(count(f), 0);
	assert_null(f->b->ops->path(f->b, "a.png", &e));
	assert_int_equal(e.code, ENOENT);
	f->replies = 0;
	f->b->ops->commit(w, stored, f);
	assert_int_equal(f->replies, 0);
	work(f);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->err.code, 0);
	assert_int_equal(f->bytes, 11);
	sha256_hex("hello world", 11, hex);
	assert_string_equal(f->hex, hex);
	auto_free char *path = f->b->ops->path(f->b, "a.png", NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count(f), 1);
	assert_string_equal(f->first, "a.png");
	f->b->ops->remove(f->b, "a.png");
	f->b->ops->remove(f->b, "not-there");
	work(f);
	assert_int_equal(count(f), 0);
}

static void test_abort_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = begin(f, "a.png");
	assert_int_equal(f->b->ops->write(w, "x", 1, NULL), 0);
	f->b->ops->abort(w);
	f->b->ops->abort(NULL);
	char **names;
	size_t n;
	assert_int_equal(fs_list(f->dir, &names, &n, NULL), 0);
	assert_int_equal(n, 0);
	fs_list_free(names, n);
}

static int full(const char *step, const char *path)
{
	(void)path;
	return strcmp(step, "rename") == 0 ? ENOSPC : 0;
}

static void test_failed_commit(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = begin(f, "a.png");
	fs_fault = full;
	f->b->ops->commit(w, stored, f);
	work(f);
	assert_int_equal(f->err.code, ENOSPC);
	fs_fault = NULL;
	assert_int_equal(count(f), 0);
}

static void test_closed_under_work(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = begin(f, "a.png");
	f->replies = 0;
	f->b->ops->commit(w, stored, f);
	f->b->ops->list(f->b, listed, f);
	f->b->ops->close(f->b);
	work(f);
	assert_int_equal(f->replies, 0);
	open_store(f);
	assert_int_equal(count(f), 1); /* what was asked for happened */
}

/* ---- a kill before any step ---- */

static int steps_left, report_fd;

static int kill_at(const char *step, const char *path)
{
	(void)step;
	(void)path;
	if (steps_left-- == 0)
		kill(getpid(), SIGKILL);
	return 0;
}

static void report(void *arg, const struct err *err, uint64_t bytes, const char *hex)
{
	const char *name = arg;
	char line[128] = {0};
	(void)bytes;
	if (err->code)
		_exit(3);
	snprintf(line, sizeof(line), "%s %s", name, hex);
	if (write(report_fd, line, sizeof(line)) != sizeof(line))
		_exit(4);
}

/* Stores results and tells of each that is durable, until it is killed. */
static void child(struct fixture *f, uint64_t seed)
{
	struct rng r;
	rng_init_seeded(&r, seed);
	steps_left = (int)rng_below(&r, 40);
	fs_fault = kill_at;
	for (int i = 0; i < 20; i++) {
		static char name[32];
		char data[256];
		size_t len = 1 + (size_t)rng_below(&r, sizeof(data));
		rng_bytes(&r, data, len);
		snprintf(name, sizeof(name), "result-%d.bin", i);
		struct blob_writer *w = f->b->ops->open(f->b, name, NULL);
		if (!w || f->b->ops->write(w, data, len, NULL) < 0)
			_exit(5);
		f->b->ops->commit(w, report, name);
		work(f);
	}
	_exit(0);
}

static void check_reports(struct fixture *f, int fd)
{
	char line[128], name[64], hex[65], now[65];
	while (read(fd, line, sizeof(line)) == sizeof(line)) {
		assert_int_equal(sscanf(line, "%63s %64s", name, hex), 2);
		auto_free char *path = f->b->ops->path(f->b, name, NULL);
		assert_non_null(path);
		assert_int_equal(sha256_file(path, now, NULL), 0);
		assert_string_equal(now, hex);
	}
}

static void kill_once(uint64_t seed)
{
	struct fixture *f = make();
	int fds[2], status;
	char **names;
	size_t n;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		report_fd = fds[1];
		child(f, seed);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	f->b->ops->close(f->b);
	open_store(f);
	check_reports(f, fds[0]);
	close(fds[0]);
	assert_int_equal(fs_list(f->dir, &names, &n, NULL), 0);
	assert_int_equal(n, count(f)); /* nothing half-written is left */
	fs_list_free(names, n);
	tear_down((void *[]){f});
}

static void test_kill_at_every_step(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++)
		kill_once(seed);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_names),
	    TEST(test_visible_after_commit),
	    TEST(test_abort_leaves_nothing),
	    TEST(test_failed_commit),
	    TEST(test_closed_under_work),
	    cmocka_unit_test(test_kill_at_every_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
