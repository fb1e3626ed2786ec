/* test_storage.c - one suite for every storage: what the seam promises must hold for memory and for
 * sqlite alike. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "studio/storage/record.h"

struct fixture {
	bool sqlite;
	char dir[64];
	char *path;
	struct loop loop;
	struct clock clock;
	struct log log;
	struct null_world *world;
	struct storage *s;
	int replies;
	struct err err;
	bool changed;
	size_t n;
	struct job_record job; /* first row of the last reply */
	struct request_record request;
	struct worker_record worker;
	struct model_record model;
	struct log_record line;
	int64_t last_seq;
};

static void open_it(struct fixture *f)
{
	struct err e = ERR_INIT;
	if (f->sqlite)
		f->s = storage_sqlite_open(&f->loop, &f->log, f->path, &e);
	else
		f->s = storage_null_open(f->world, &f->clock, NULL, NULL);
	assert_string_equal(e.text, "");
	assert_non_null(f->s);
}

static void close_it(struct fixture *f)
{
	f->s->ops->close(f->s);
	f->s = NULL;
}

static int set_up(void **state, bool sqlite)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	f->sqlite = sqlite;
	strcpy(f->dir, "/tmp/test-storage-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = xasprintf("%s/studio.db", f->dir);
	assert_int_equal(loop_init(&f->loop, &e), 0);
	clock_init(&f->clock);
	log_init(&f->log, &f->clock);
	f->world = null_world_new();
	open_it(f);
	*state = f;
	return 0;
}

static int set_up_null(void **state)
{
	return set_up(state, false);
}

static int set_up_sqlite(void **state)
{
	return set_up(state, true);
}

static void forget(struct fixture *f)
{
	job_record_fini(&f->job);
	request_record_fini(&f->request);
	worker_record_fini(&f->worker);
	model_record_fini(&f->model);
	log_record_fini(&f->line);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->s)
		close_it(f);
	forget(f);
	null_world_free(f->world);
	loop_fini(&f->loop);
	clock_fini(&f->clock);
	const char *ends[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < 3; i++) {
		auto_free char *path = xasprintf("%s%s", f->path, ends[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f->path);
	free(f);
	return 0;
}

static void got(void *arg, const struct storage_reply *r)
{
	struct fixture *f = arg;
	forget(f);
	f->replies++;
	f->err = *r->err;
	f->changed = r->changed;
	f->n = r->n;
	if (r->jobs) {
		job_record_copy(&f->job, &r->jobs[0]);
		f->last_seq = r->jobs[r->n - 1].seq;
	}
	if (r->requests)
		request_record_copy(&f->request, &r->requests[0]);
	if (r->workers)
		worker_record_copy(&f->worker, &r->workers[0]);
	if (r->models)
		model_record_copy(&f->model, &r->models[0]);
	if (r->logs) {
		log_record_copy(&f->line, &r->logs[0]);
		f->last_seq = r->logs[r->n - 1].seq;
	}
}

/* Lets n replies come. */
static void wait_n(struct fixture *f, int n)
{
	assert_int_equal(f->replies, 0); /* never from inside the call */
	while (f->replies < n) {
		if (f->sqlite)
			uv_run(&f->loop.uv, UV_RUN_ONCE);
		else
			assert_true(clock_run(&f->clock) > 0);
	}
	f->replies = 0;
}

#define DO(f, op, ...)                                                                             \
	do {                                                                                       \
		(f)->s->ops->op((f)->s, __VA_ARGS__, got, f);                                      \
		wait_n(f, 1);                                                                      \
	} while (0)

static void insert_job(struct fixture *f, const char *id)
{
	json_t *task = json_pack("{s:s, s:I}", "kind", "llm", "seed", (json_int_t)9007199254740993);
	json_t *source = json_pack("{s:s}", "engine", "synthetic");
	struct job_record j = {
	    .id = (char *)(uintptr_t)id,
	    .game_id = (char *)(uintptr_t) "game",
	    .kind = (char *)(uintptr_t) "llm",
	    .model = (char *)(uintptr_t) "synthetic",
	    .vram_gb_estimate = 1.5,
	    .task = task,
	    .source = source,
	    .created_ms = 1000,
	};
	f->s->ops->job_insert(f->s, &j, got, f);
	json_object_set_new(task, "kind", json_string("changed after the call"));
	json_decref(task);
	json_decref(source);
	wait_n(f, 1);
}

/* ---- jobs ---- */

static void test_insert_keeps_everything(void **state)
{
	struct fixture *f = *state;
	insert_job(f, "job-1");
	assert_int_equal(f->err.code, 0);
	assert_true(f->changed);
	assert_int_equal(f->job.seq, 1);
	DO(f, job_get, "job-1");
	assert_string_equal(f->job.game_id, "game");
	assert_null(f->job.asset_name);
	assert_true(f->job.vram_gb_estimate == 1.5);
	assert_string_equal(json_string_value(json_object_get(f->job.task, "kind")), "llm");
	assert_true(json_integer_value(json_object_get(f->job.task, "seed")) == 9007199254740993);
	assert_int_equal(f->job.state, JOB_QUEUED);
	insert_job(f, "job-1");
	assert_int_equal(f->err.code, EEXIST);
	DO(f, job_get, "job-2");
	assert_int_equal(f->err.code, ENOENT);
}

static struct job_move reserve(const char *id, const char *worker)
{
	return (struct job_move){
	    .id = id,
	    .from = JOB_BIT(JOB_QUEUED),
	    .to = JOB_OFFERED,
	    .set_worker = true,
	    .worker_id = worker,
	};
}

static void test_move_happens_once(void **state)
{
	struct fixture *f = *state;
	struct job_move a = reserve("job-1", "wk-a"), b = reserve("job-1", "wk-b");
	insert_job(f, "job-1");
	f->s->ops->job_move(f->s, &a, got, f);
	f->s->ops->job_move(f->s, &b, got, f);
	wait_n(f, 2);
	assert_false(f->changed);
	assert_string_equal(f->job.worker_id, "wk-a");
	struct job_move accept = {
	    .id = "job-1",
	    .from = JOB_BIT(JOB_OFFERED),
	    .if_worker = "wk-b",
	    .to = JOB_CLAIMED,
	    .claimed_ms = 5,
	};
	DO(f, job_move, &accept);
	assert_false(f->changed);
	accept.if_worker = "wk-a";
	DO(f, job_move, &accept);
	assert_true(f->changed);
	assert_int_equal(f->job.claimed_ms, 5);
	DO(f, job_move, &(struct job_move){.id = "job-9", .from = ~0u});
	assert_int_equal(f->err.code, ENOENT);
}

static void test_move_gives_up_at(void **state)
{
	struct fixture *f = *state;
	struct job_move m = {
	    .id = "job-1",
	    .from = JOB_BIT(JOB_QUEUED),
	    .to = JOB_QUEUED,
	    .add_attempts = 1,
	    .give_up_at = 2,
	    .set_error = true,
	    .error = "broken",
	    .finished_ms = 77,
	};
	insert_job(f, "job-1");
	DO(f, job_move, &m);
	assert_int_equal(f->job.state, JOB_QUEUED);
	assert_int_equal(f->job.finished_ms, 0);
	DO(f, job_move, &m);
	assert_int_equal(f->job.state, JOB_FAILED);
	assert_int_equal(f->job.attempts, 2);
	assert_int_equal(f->job.finished_ms, 77);
	assert_string_equal(f->job.error, "broken");
}

static void test_last_worker_is_kept(void **state)
{
	struct fixture *f = *state;
	struct job_move take = reserve("job-1", "wk-a");
	struct job_move give = {
	    .id = "job-1",
	    .from = JOB_BIT(JOB_OFFERED),
	    .to = JOB_QUEUED,
	    .set_worker = true,
	};
	struct job_move again = reserve("job-1", "wk-b");
	insert_job(f, "job-1");
	again.if_last_worker = "wk-a";
	DO(f, job_move, &again);
	assert_false(f->changed); /* nobody had it yet */
	DO(f, job_move, &take);
	DO(f, job_move, &give);
	assert_true(f->changed);
	assert_null(f->job.worker_id);
	DO(f, job_get, "job-1");
	assert_string_equal(f->job.last_worker, "wk-a");
	again.if_last_worker = "wk-b";
	DO(f, job_move, &again);
	assert_false(f->changed);
	again.if_last_worker = "wk-a";
	DO(f, job_move, &again);
	assert_true(f->changed);
}

static void test_result_is_kept(void **state)
{
	struct fixture *f = *state;
	json_t *result = json_pack("[s%, i]", "nul\0inside", (size_t)10, 7);
	struct job_move m = {
	    .id = "job-1",
	    .from = JOB_BIT(JOB_QUEUED),
	    .to = JOB_DONE,
	    .set_result = true,
	    .result = result,
	    .prompt = "p",
	    .finished_ms = 9,
	};
	insert_job(f, "job-1");
	DO(f, job_move, &m);
	DO(f, job_get, "job-1");
	assert_true(json_equal(f->job.result, result));
	assert_string_equal(f->job.prompt, "p");
	json_decref(result);
	DO(f, job_delete, "job-1");
	assert_true(f->changed);
	assert_int_equal(f->job.state, JOB_DONE);
	DO(f, job_delete, "job-1");
	assert_int_equal(f->err.code, ENOENT);
}

static void test_lists_filter_and_page(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 9; i++) {
		char id[16];
		snprintf(id, sizeof(id), "job-%d", i);
		insert_job(f, id);
		struct job_move m = reserve(id, i % 2 ? "wk-a" : "wk-b");
		if (i % 3 == 0)
			DO(f, job_move, &m);
	}
	struct job_filter q = {.states = JOB_BIT(JOB_QUEUED), .limit = 4};
	DO(f, job_list, &q);
	assert_int_equal(f->n, 4);
	assert_string_equal(f->job.id, "job-1");
	assert_int_equal(f->last_seq, 5);
	q.after_seq = 5;
	DO(f, job_list, &q);
	assert_int_equal(f->n, 2);
	DO(f, job_list, &(struct job_filter){.worker_id = "wk-a"});
	assert_int_equal(f->n, 2);
	DO(f, job_list, &(struct job_filter){.newest_first = true, .before_seq = 9, .limit = 2});
	assert_string_equal(f->job.id, "job-8");
	assert_int_equal(f->last_seq, 7);
	DO(f, job_list,
	   &(struct job_filter){.states = JOB_BIT(JOB_OFFERED) | JOB_BIT(JOB_CLAIMED)});
	assert_int_equal(f->n, 3);
}

static void test_lists_leave_out_what_is_large(void **state)
{
	struct fixture *f = *state;
	json_t *result = json_pack("[i]", 7);
	struct job_move m = {
	    .id = "job-1",
	    .from = JOB_BIT(JOB_QUEUED),
	    .to = JOB_DONE,
	    .set_result = true,
	    .result = result,
	    .prompt = "p",
	    .blob = "b",
	};
	insert_job(f, "job-1");
	DO(f, job_move, &m);
	json_decref(result);
	DO(f, job_list, &(struct job_filter){.limit = 1});
	assert_non_null(f->job.task);
	assert_non_null(f->job.source);
	assert_non_null(f->job.result);
	DO(f, job_list, &(struct job_filter){.columns = JOB_MATCHING, .limit = 1});
	assert_null(f->job.task);
	assert_null(f->job.result);
	assert_null(f->job.prompt);
	assert_non_null(f->job.source);
	DO(f, job_list, &(struct job_filter){.columns = JOB_LABELS, .limit = 1});
	assert_null(f->job.task);
	assert_null(f->job.source);
	assert_string_equal(f->job.id, "job-1");
	assert_string_equal(f->job.blob, "b");
	assert_int_equal(f->job.state, JOB_DONE);
	DO(f, job_get, "job-1"); /* nothing was lost */
	assert_non_null(f->job.task);
	assert_non_null(f->job.result);
}

static void test_running_job_is_not_deleted(void **state)
{
	struct fixture *f = *state;
	insert_job(f, "job-1");
	DO(f, job_delete, "job-1");
	assert_false(f->changed);
	assert_int_equal(f->job.state, JOB_QUEUED);
	DO(f, job_get, "job-1");
	assert_int_equal(f->err.code, 0);
}

/* ---- requests and workers ---- */

static void ask(struct fixture *f, const char *id, const char *install, const char *hash)
{
	json_t *caps = json_pack("{s:s}", "engine", hash);
	struct request_record r = {
	    .id = (char *)(uintptr_t)id,
	    .install_id = (char *)(uintptr_t)install,
	    .secret_hash = (char *)(uintptr_t)hash,
	    .peer = (char *)(uintptr_t) "127.0.0.1",
	    .capabilities = caps,
	    .created_ms = 1,
	};
	DO(f, request_open, &r);
	json_decref(caps);
}

static void test_request_is_one_per_install(void **state)
{
	struct fixture *f = *state;
	ask(f, "rr-1", "i1", "h1");
	assert_true(f->changed);
	assert_string_equal(f->request.status, "pending");
	ask(f, "rr-2", "i1", "h2");
	assert_false(f->changed);
	assert_string_equal(f->request.id, "rr-1");
	DO(f, request_get, "rr-1");
	assert_string_equal(f->request.secret_hash, "h2");
	ask(f, "rr-3", "i2", "h3");
	DO(f, request_list, "pending");
	assert_int_equal(f->n, 2);
	DO(f, request_decide, "rr-3", false, "wk-9", "no", 5);
	assert_true(f->changed);
	assert_string_equal(f->request.status, "rejected");
	assert_string_equal(f->request.reason, "no");
	assert_null(f->request.worker_id);
	DO(f, request_decide, "rr-3", true, "wk-9", NULL, 6);
	assert_false(f->changed);
	ask(f, "rr-4", "i2", "h4");
	assert_string_equal(f->request.id, "rr-4");
}

static void test_worker_of_an_install_stays(void **state)
{
	struct fixture *f = *state;
	ask(f, "rr-other", "i2", "h0");
	ask(f, "rr-1", "i1", "h1");
	DO(f, request_decide, "rr-1", true, "wk-1", NULL, 5);
	assert_string_equal(f->request.worker_id, "wk-1");
	DO(f, worker_set_token, "wk-1", "t1");
	ask(f, "rr-2", "i1", "h2");
	DO(f, request_decide, "rr-2", true, "wk-2", NULL, 6);
	assert_string_equal(f->request.worker_id, "wk-1");
	DO(f, worker_get, "wk-1");
	assert_string_equal(f->worker.token_hash, "t1");
	assert_string_equal(json_string_value(json_object_get(f->worker.capabilities, "engine")),
			    "h2");
	DO(f, worker_get, "wk-2");
	assert_int_equal(f->err.code, ENOENT);
	json_t *caps = json_pack("{s:i}", "x", 1);
	DO(f, worker_seen, "wk-1", caps, 99);
	json_decref(caps);
	DO(f, worker_get, "wk-1");
	assert_int_equal(f->worker.seen_ms, 99);
	DO(f, worker_delete, "wk-1");
	assert_true(f->changed);
	DO(f, request_get, "rr-1");
	assert_int_equal(f->err.code, ENOENT);
	DO(f, worker_set_token, "wk-1", "t2");
	assert_int_equal(f->err.code, ENOENT);
	DO(f, request_get, "rr-other");
	assert_int_equal(f->err.code, 0);
}

/* ---- models and logs ---- */

static void test_models(void **state)
{
	struct fixture *f = *state;
	json_t *source = json_pack("{s:s}", "engine", "synthetic");
	struct model_record m = {
	    .id = (char *)(uintptr_t) "m1",
	    .kind = (char *)(uintptr_t) "image",
	    .enabled = true,
	    .vram_gb_estimate = 2,
	    .source = source,
	};
	DO(f, model_put, &m);
	m.enabled = false;
	DO(f, model_put, &m);
	m.id = (char *)(uintptr_t) "a0";
	DO(f, model_put, &m);
	json_decref(source);
	DO(f, model_get, "m1");
	assert_false(f->model.enabled);
	assert_null(f->model.defaults);
	f->s->ops->model_list(f->s, got, f);
	wait_n(f, 1);
	assert_int_equal(f->n, 2);
	assert_string_equal(f->model.id, "a0");
	DO(f, model_delete, "m1");
	assert_true(f->changed);
	DO(f, model_delete, "m1");
	assert_int_equal(f->err.code, ENOENT);
}

static void test_logs(void **state)
{
	struct fixture *f = *state;
	struct log_record rows[3];
	ask(f, "rr-1", "i1", "h1");
	DO(f, request_decide, "rr-1", true, "wk-1", NULL, 5);
	for (int i = 0; i < 3; i++) {
		rows[i] = (struct log_record){
		    .worker_id = (char *)(uintptr_t)(i == 1 ? "wk-none" : "wk-1"),
		    .ts = (char *)(uintptr_t) "t",
		    .level = (char *)(uintptr_t) "info",
		    .category = (char *)(uintptr_t) "ws",
		    .message = (char *)(uintptr_t)(i ? "two" : "one"),
		};
	}
	f->s->ops->log_append(f->s, rows, 3, NULL, NULL);
	DO(f, log_list, "wk-1", 0, 10);
	assert_int_equal(f->n, 2);
	assert_string_equal(f->line.message, "one");
	assert_null(f->line.job_id);
	DO(f, log_list, "wk-1", f->line.seq, 10);
	assert_int_equal(f->n, 1);
	assert_string_equal(f->line.message, "two");
	DO(f, log_list, "wk-none", 0, 10);
	assert_int_equal(f->err.code, 0);
	assert_int_equal(f->n, 0);
}

static void test_old_logs_go(void **state)
{
	struct fixture *f = *state;
	static struct log_record rows[5000];
	ask(f, "rr-1", "i1", "h1");
	DO(f, request_decide, "rr-1", true, "wk-1", NULL, 5);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		rows[i] = (struct log_record){.worker_id = (char *)(uintptr_t) "wk-1"};
	}
	for (int i = 0; i < 5; i++)
		DO(f, log_append, rows, ARRAY_LEN(rows));
	DO(f, log_list, "wk-1", 0, 1);
	assert_in_range(f->line.seq, 5000 - 255, 5001);
}

/* ---- the end, and the start again ---- */

static void test_close_finishes_what_was_asked(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 40; i++) {
		char id[16];
		snprintf(id, sizeof(id), "job-%d", i);
		struct job_record j = {.id = id};
		f->s->ops->job_insert(f->s, &j, got, f);
	}
	close_it(f);
	assert_int_equal(f->replies, 0);
	open_it(f);
	DO(f, job_list, &(struct job_filter){.limit = 100});
	assert_int_equal(f->n, 40);
}

/* ---- memory only ---- */

static uint64_t ten_ms(void *arg)
{
	(void)arg;
	return 10;
}

static void test_crash_falls_between_apply_and_reply(void **state)
{
	struct fixture *f = *state;
	struct job_record a = {.id = (char *)(uintptr_t) "a"}, b = {.id = (char *)(uintptr_t) "b"};
	close_it(f);
	f->s = storage_null_open(f->world, &f->clock, ten_ms, NULL);
	f->s->ops->job_insert(f->s, &a, got, f);
	clock_set(&f->clock, 5, 0);
	clock_run(&f->clock); /* a is applied, not told */
	f->s->ops->job_insert(f->s, &b, got, f);
	storage_null_crash(f->s);
	clock_set(&f->clock, 100, 0);
	clock_run(&f->clock);
	assert_int_equal(f->replies, 0);
	open_it(f);
	DO(f, job_get, "a");
	assert_int_equal(f->err.code, 0);
	DO(f, job_get, "b");
	assert_int_equal(f->err.code, ENOENT);
}

/* ---- sqlite only ---- */

static void test_files_are_private(void **state)
{
	struct fixture *f = *state;
	const char *ends[] = {"", "-wal", "-shm"};
	insert_job(f, "job-1");
	for (size_t i = 0; i < 3; i++) {
		struct stat st;
		auto_free char *path = xasprintf("%s%s", f->path, ends[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void change_schema(const char *path, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	close_it(f);
	change_schema(f->path, "INSERT INTO schema_version VALUES (99)");
	f->s = storage_sqlite_open(&f->loop, &f->log, f->path, &e);
	assert_null(f->s);
	assert_int_equal(e.code, EPROTO);
	assert_non_null(strstr(e.text, "newer"));
}

static void test_garbage_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	close_it(f);
	int fd = open(f->path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is no database, it is a text of some length", 48), 48);
	close(fd);
	f->s = storage_sqlite_open(&f->loop, &f->log, f->path, &e);
	assert_null(f->s);
	assert_true(e.code != 0);
	assert_non_null(strstr(e.text, f->path));
}

/* One operation that cannot be done must not take down the others of its batch, nor the program. */
static void test_failure_is_an_answer(void **state)
{
	struct fixture *f = *state;
	close_it(f);
	change_schema(f->path, "CREATE TRIGGER full BEFORE INSERT ON jobs WHEN NEW.id = 'bad' "
			       "BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
	open_it(f);
	static const char *const ids[] = {"a", "bad", "b"};
	for (int i = 0; i < 3; i++) {
		struct job_record j = {.id = (char *)(uintptr_t)ids[i]};
		f->s->ops->job_insert(f->s, &j, got, f);
	}
	wait_n(f, 3);
	assert_int_equal(f->err.code, 0);
	DO(f, job_list, &(struct job_filter){.limit = 10});
	assert_int_equal(f->n, 2);
}

static void test_locked_database_is_an_answer(void **state)
{
	struct fixture *f = *state;
	sqlite3 *other;
	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	insert_job(f, "job-1");
	assert_int_equal(f->err.code, EAGAIN);
	assert_false(f->changed);
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	insert_job(f, "job-1");
	assert_int_equal(f->err.code, 0);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, set_up_null, tear_down),                             \
	    cmocka_unit_test_setup_teardown(test, set_up_sqlite, tear_down)
#define NULL_ONLY(test)	  cmocka_unit_test_setup_teardown(test, set_up_null, tear_down)
#define SQLITE_ONLY(test) cmocka_unit_test_setup_teardown(test, set_up_sqlite, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(test_insert_keeps_everything),
	    BOTH(test_move_happens_once),
	    BOTH(test_move_gives_up_at),
	    BOTH(test_last_worker_is_kept),
	    BOTH(test_result_is_kept),
	    BOTH(test_lists_filter_and_page),
	    BOTH(test_lists_leave_out_what_is_large),
	    BOTH(test_running_job_is_not_deleted),
	    BOTH(test_request_is_one_per_install),
	    BOTH(test_worker_of_an_install_stays),
	    BOTH(test_models),
	    BOTH(test_logs),
	    BOTH(test_old_logs_go),
	    BOTH(test_close_finishes_what_was_asked),
	    NULL_ONLY(test_crash_falls_between_apply_and_reply),
	    SQLITE_ONLY(test_files_are_private),
	    SQLITE_ONLY(test_newer_schema_is_refused),
	    SQLITE_ONLY(test_garbage_is_refused),
	    SQLITE_ONLY(test_failure_is_an_answer),
	    SQLITE_ONLY(test_locked_database_is_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
