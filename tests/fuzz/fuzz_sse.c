/* What llama-server streams: events whole and in uneven pieces, which must come to the same, and
 * the answer that is put together from them. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/llama-cpp/answer.h"
#include "worker/engine/llama-cpp/sse.h"

#define MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
	struct buf seen;
	struct answer answer;
	enum answer_state state;
};

static bool on_event(void *arg, const char *data, size_t len)
{
	struct reader *r = arg;
	struct err e = ERR_INIT;
	if (len > MAX || data[len] || !buf_add(&r->seen, data, len) || !buf_add(&r->seen, "|", 1))
		abort();
	r->state = answer_take(&r->answer, data, len, &e);
	if (r->answer.content.len + r->answer.reasoning.len + r->answer.calls_bytes >
	    ANSWER_MAX_TEXT)
		abort();
	if (r->state != ANSWER_MORE && r->state != ANSWER_DONE && !e.code)
		abort();
	return r->state == ANSWER_MORE;
}

static void on_comment(void *arg)
{
	if (!buf_add(&((struct reader *)arg)->seen, ":", 1))
		abort();
}

static const struct sse_events events = {on_event, on_comment};

static int parse(struct reader *r, const char *data, size_t len, bool pieces)
{
	struct sse s;
	struct err e = ERR_INIT;
	int rc = 0;
	*r = (struct reader){.state = ANSWER_MORE};
	buf_init(&r->seen, 64u << 20);
	answer_init(&r->answer);
	sse_init(&s, MAX, &events, r);
	for (size_t i = 0, n; rc == 0 && i < len; i += n) {
		n = pieces ? 1 + i % 5 : len;
		if (n > len - i)
			n = len - i;
		rc = sse_feed(&s, data + i, n, &e);
		if (rc && rc != -EMSGSIZE && rc != -ECANCELED)
			abort();
		if (s.line.cap > 2 * MAX + 256 || s.data.cap > 2 * MAX + 256)
			abort();
	}
	sse_fini(&s);
	return rc;
}

static void finish(struct reader *r)
{
	if (r->state == ANSWER_DONE) {
		json_t *result = answer_result(&r->answer);
		char *text = json_dumps(result, JSON_COMPACT);
		if (!text)
			abort();
		free(text);
		json_decref(result);
	}
	answer_fini(&r->answer);
	buf_fini(&r->seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader whole, cut;
	struct err e = ERR_INIT;
	int a = parse(&whole, (const char *)data, size, false);
	int b = parse(&cut, (const char *)data, size, true);
	if (a != b || whole.state != cut.state || whole.seen.len != cut.seen.len ||
	    (whole.seen.len && memcmp(whole.seen.data, cut.seen.data, whole.seen.len) != 0))
		abort();
	finish(&whole);
	finish(&cut);
	if (size) {
		int status = 200 + (int)data[0] * 2;
		char *body = malloc(size);
		memcpy(body, data, size);
		body[size - 1] = '\0';
		enum answer_state s = answer_refusal(status, body, size - 1, &e);
		if ((s != ANSWER_REFUSED && s != ANSWER_BROKEN) || !e.code)
			abort();
		free(body);
	}
	return 0;
}
