/* test_kill.c - the outbox is killed, and fails, at every step that changes the disk. What was
 * confirmed is there, whole and once; what was under way is there or not; nothing else.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "worker/job/outbox.h"

#define OPS   10
#define SEEDS 6

enum op_kind { PUT_BYTES, PUT_JSON, PARK, REMOVE };
struct op {
	enum op_kind kind;
	unsigned job;
};
/* What is in the outbox, by job number. */
struct model {
	bool there[OPS], bytes[OPS], parked[OPS];
};

static char dir[64];
static unsigned step_count, step_limit;
static int fail_with; /* 0: kill */

static int at_step(const char *step, const char *path)
{
	(void)step;
	(void)path;
	if (++step_count != step_limit)
		return 0;
	if (!fail_with)
		_exit(9);
	return fail_with;
}

static void apply(struct model *m, struct op op)
{
	bool put = op.kind == PUT_BYTES || op.kind == PUT_JSON;
	if (put) {
		m->there[op.job] = true;
		m->bytes[op.job] = op.kind == PUT_BYTES;
		m->parked[op.job] = false;
	} else if (op.kind == PARK) {
		m->parked[op.job] = true;
	} else {
		m->there[op.job] = false;
	}
}

static struct op choose(struct rng *rng, const struct model *m, unsigned i)
{
	unsigned victim = (unsigned)rng_below(rng, i ? i : 1);
	if (i && m->there[victim] && rng_below(rng, 2))
		return (struct op){
		    m->bytes[victim] && !m->parked[victim] && rng_below(rng, 2) ? PARK : REMOVE,
		    victim};
	return (struct op){rng_below(rng, 2) ? PUT_BYTES : PUT_JSON, i};
}

static void plan(uint64_t seed, struct op ops[OPS])
{
	struct rng rng;
	struct model m = {0};
	rng_init_seeded(&rng, seed);
	for (unsigned i = 0; i < OPS; i++) {
		ops[i] = choose(&rng, &m, i);
		apply(&m, ops[i]);
	}
}

/* Up to 40 KB, told by the number alone. */
static char *content(unsigned job, size_t *len)
{
	*len = 100 + job * 4001;
	char *text = xmalloc(*len + 1);
	for (size_t i = 0; i < *len; i++)
		text[i] = (char)('a' + (i * 7 + job) % 26);
	text[*len] = '\0';
	return text;
}

static struct result *make(unsigned job, bool bytes)
{
	size_t len;
	struct result *r = result_new();
	r->job_id = xasprintf("job-%u", job);
	r->digest = xasprintf("digest-%u", job);
	r->kind = xstrdup(bytes ? "image" : "llm");
	r->model = xstrdup("m");
	r->engine = xstrdup("e");
	r->prompt = xstrdup("p");
	r->created_ms = job;
	if (bytes)
		r->ext = xstrdup("png");
	else
		r->frame = content(job, &len);
	return r;
}

static int put(struct outbox *o, struct result *r, unsigned job)
{
	auto_free char *file = fs_join(dir, "engine.png");
	if (result_is_bytes(r)) {
		size_t len;
		auto_free char *text = content(job, &len);
		FILE *f = fopen(file, "wb"); /* the engine's own doing: no step of the outbox */
		if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0)
			_exit(8);
	}
	return outbox_put(o, r, file, NULL);
}

static int perform(struct outbox *o, struct result **have, struct op op)
{
	struct result *r = have[op.job];
	switch (op.kind) {
	case PUT_BYTES:
	case PUT_JSON:
		r = have[op.job] = make(op.job, op.kind == PUT_BYTES);
		return put(o, r, op.job);
	case PARK:
		return outbox_park(o, r->dir, NULL);
	case REMOVE:
		return result_is_bytes(r) ? outbox_remove(o, r->dir, NULL)
					  : outbox_forget(o, &r->seq, 1, NULL);
	}
	return -1;
}

/* Runs the plan in a process of its own; returns how many operations it confirmed and whether it
 * got to the end. */
static unsigned run(const struct op ops[OPS], unsigned limit, bool *ended)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct result *have[OPS] = {0};
		struct outbox *o = outbox_new(dir);
		step_limit = limit;
		fs_fault = at_step;
		for (unsigned i = 0; i < OPS; i++) {
			if (perform(o, have, ops[i]) < 0)
				_exit(7);
			if (write(fds[1], "x", 1) != 1)
				_exit(6);
		}
		_exit(0);
	}
	close(fds[1]);
	unsigned done = 0;
	char c;
	while (read(fds[0], &c, 1) == 1)
		done++;
	close(fds[0]);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	int code = WEXITSTATUS(status);
	assert_true(code == 0 || code == (fail_with ? 7 : 9));
	*ended = code == 0;
	return done;
}

static void check_whole(const struct result *r, unsigned job)
{
	size_t len, got_len;
	char hex[SHA256_HEX_LEN];
	auto_free char *want = content(job, &len);
	auto_free char *got = NULL;
	if (!result_is_bytes(r)) {
		assert_string_equal(r->frame, want);
		return;
	}
	assert_int_equal(fs_read(r->file, 1 << 20, &got, &got_len, NULL), 0);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, want, len);
	sha256_hex(got, got_len, hex);
	assert_string_equal(hex, r->sha256);
}

static void look(struct outbox *o, struct model *m)
{
	struct clock clock;
	struct log log;
	struct result **items;
	size_t n;
	clock_init(&clock);
	log_init(&log, &clock);
	*m = (struct model){0};
	assert_int_equal(outbox_load(o, &log, &items, &n, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		unsigned job;
		assert_int_equal(sscanf(items[i]->job_id, "job-%u", &job), 1);
		assert_true(job < OPS);
		assert_false(m->there[job]); /* never doubled */
		m->there[job] = true;
		m->bytes[job] = result_is_bytes(items[i]);
		m->parked[job] = items[i]->parked;
		check_whole(items[i], job);
		result_free(items[i]);
	}
	free(items);
}

static bool same(const struct model *a, const struct model *b)
{
	for (unsigned i = 0; i < OPS; i++)
		if (a->there[i] != b->there[i] ||
		    (a->there[i] && (a->bytes[i] != b->bytes[i] || a->parked[i] != b->parked[i])))
			return false;
	return true;
}

/* Nothing half made stays, and the outbox goes on working. */
static void go_on(void)
{
	struct model m;
	struct outbox *o = outbox_new(dir);
	look(o, &m);
	for (unsigned job = OPS - 2; job < OPS; job++) {
		if (m.there[job])
			continue;
		struct result *r = make(job, job % 2);
		assert_int_equal(put(o, r, job), 0);
		apply(&m, (struct op){job % 2 ? PUT_BYTES : PUT_JSON, job});
		result_free(r);
	}
	outbox_free(o);
	struct model again;
	o = outbox_new(dir);
	look(o, &again);
	assert_true(same(&m, &again));
	outbox_free(o);
}

static void verify(const struct op ops[OPS], unsigned done, bool ended)
{
	struct model before = {0}, after, got;
	for (unsigned i = 0; i < done; i++)
		apply(&before, ops[i]);
	after = before;
	if (!ended)
		apply(&after, ops[done]);
	struct outbox *o = outbox_new(dir);
	look(o, &got);
	outbox_free(o);
	bool put_failed = fail_with && !ended && ops[done].kind <= PUT_JSON;
	assert_true(same(&got, &before) || (!put_failed && same(&got, &after)));
}

static unsigned every_step(uint64_t seed)
{
	struct op ops[OPS];
	bool ended = false;
	unsigned n = 0;
	plan(seed, ops);
	while (!ended) {
		/* Memory does: it is the order of the steps that counts, and thousands of real
		 * fsyncs take minutes. */
		snprintf(dir, sizeof dir, "%s/kill-test-XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		assert_non_null(mkdtemp(dir));
		step_count = 0;
		unsigned done = run(ops, ++n, &ended);
		verify(ops, done, ended);
		go_on();
		assert_int_equal(fs_remove_tree(dir, NULL), 0);
	}
	return n - 1;
}

static void killed_at_every_step(void **state)
{
	(void)state;
	unsigned points = 0;
	fail_with = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		points += every_step(seed);
	print_message("%u kill points\n", points);
	assert_true(points >= 200);
}

static void failing_at_every_step(void **state)
{
	(void)state;
	unsigned points = 0;
	fail_with = 28; /* ENOSPC */
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		points += every_step(seed);
	print_message("%u failure points\n", points);
	assert_true(points >= 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_at_every_step),
	    cmocka_unit_test(failing_at_every_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
