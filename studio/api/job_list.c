/* job_list.c - GET /jobs: newest first, by state, kind and worker, a page at a time.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/kind.h"
#include "studio/api/call.h"
#include "studio/api/job_json.h"
#include "studio/api/routes.h"

#define PAGE_MAX     200
#define PAGE_DEFAULT 50

/* The storage knows no kinds, so a page of one kind may take several of its lists. */
struct page {
	unsigned states;
	char *kind, *worker; /* NULL: any */
	size_t limit, asked;
	int64_t before; /* seq; 0: from the newest */
	json_t *jobs;
};

static void page_free(void *data)
{
	struct page *p = data;

	free(p->kind);
	free(p->worker);
	json_decref(p->jobs);
	free(p);
}

static void fetch(struct call *c);

static void answer(struct request *r, struct page *p, bool more)
{
	json_t *o = json_pack("{s:O}", "jobs", p->jobs);

	if (more) {
		auto_free char *cursor = xasprintf("%lld", (long long)p->before);
		json_set_text(o, "nextCursor", cursor);
	}
	respond_json(r, 200, o);
}

static void collect(struct page *p, const struct storage_reply *reply)
{
	for (size_t i = 0; i < reply->n && json_array_size(p->jobs) < p->limit; i++) {
		const struct job_record *j = &reply->jobs[i];
		p->before = j->seq;
		if (!p->kind || strcmp(p->kind, j->kind) == 0)
			json_array_append_new(p->jobs, job_encode(j, false));
	}
}

static void jobs_listed(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct page *p = c->data;
	struct request *r = c->request;
	bool more = reply->n == p->asked;

	if (!r || !reply_fine(r, reply->err, c->deps->log, NULL, NULL)) {
		call_drop(c);
		return;
	}
	collect(p, reply);
	if (more && json_array_size(p->jobs) < p->limit) {
		fetch(c);
		return;
	}
	answer(r, p, more);
	call_drop(c);
}

static void fetch(struct call *c)
{
	struct page *p = c->data;
	struct storage *s = c->deps->storage;
	struct job_filter f = {
	    .columns = JOB_LABELS,
	    .states = p->states,
	    .worker_id = p->worker,
	    .before_seq = p->before,
	    .newest_first = true,
	    .limit = p->asked,
	};

	s->ops->job_list(s, &f, jobs_listed, c);
}

static bool parse_states(struct request *r, unsigned *states)
{
	const char *text = request_query(r, "state");
	enum job_state state;

	if (!text)
		return true;
	if (job_state_parse(text, &state)) {
		*states = JOB_BIT(state);
		return true;
	}
	respond_error(r, 400, "bad_request",
		      "state: must be one of queued, offered, claimed, done, failed");
	return false;
}

static bool parse_kind(struct request *r, const char **kind)
{
	enum kind k;

	*kind = request_query(r, "kind");
	if (!*kind || kind_parse(*kind, &k))
		return true;
	respond_error(r, 400, "bad_request",
		      "kind: must be one of image, llm, audio_stt, audio_tts, video");
	return false;
}

void job_list(struct request *r, void *arg)
{
	int64_t limit = PAGE_DEFAULT, cursor = 0;
	unsigned states = 0;
	const char *kind;
	struct page *p;
	struct call *c;

	if (!parse_states(r, &states) || !parse_kind(r, &kind) ||
	    !request_int(r, "limit", 1, PAGE_MAX, &limit) ||
	    !request_int(r, "cursor", 1, INT64_MAX, &cursor))
		return;
	p = xcalloc(1, sizeof *p);
	p->states = states;
	p->kind = xstrdup_opt(kind);
	p->worker = xstrdup_opt(request_query(r, "workerId"));
	p->limit = (size_t)limit;
	p->asked = kind ? PAGE_MAX : p->limit;
	p->before = cursor;
	p->jobs = json_array();
	c = call_new(r, arg);
	c->data = p;
	c->data_free = page_free;
	fetch(call_hold(c));
}
