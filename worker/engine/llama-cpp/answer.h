/* answer.h - puts the chunks of a streamed chat completion together again, and reads what
 * llama-server says when it refuses. Everything an engine says is hostile: capped, checked. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_ANSWER_H
#define LLAMA_CPP_ANSWER_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define ANSWER_MAX_TEXT	     (2u << 20) /* bytes of all texts of an answer: it travels in one frame */
#define ANSWER_MAX_EVENT     (1u << 20) /* bytes of one chunk */
#define ANSWER_MAX_CALLS     128	/* tool calls */
#define ANSWER_MAX_CALL_TEXT (64u << 10)
#define ANSWER_MAX_ERROR     (64u << 10)

enum answer_state {
	ANSWER_MORE,
	ANSWER_DONE,	/* whole: finish reason and [DONE] were seen */
	ANSWER_REFUSED, /* the server says no, and would again */
	ANSWER_BROKEN,	/* the server failed, or what it says makes no sense */
	ANSWER_TOO_BIG, /* more text than a result may have */
};
struct answer {
	struct buf content, reasoning;
	size_t calls_bytes;
	json_t *calls; /* tool calls, NULL: none */
	json_t *id, *model, *created, *fingerprint, *usage, *timings, *finish; /* NULL: not said */
	uint64_t chunks;		    /* with text: about one a token */
	uint64_t prompt_total, prompt_done; /* tokens, of the server's progress; 0: not said */
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);
/* One event of the stream. err is filled for REFUSED, BROKEN and TOO_BIG. */
enum answer_state answer_take(struct answer *a, const char *data, size_t len, struct err *e);
/* An OpenAI chat.completion object; new reference. Of an answer that is DONE. */
json_t *answer_result(struct answer *a);
/* What an answer with a status other than 200 means. */
enum answer_state answer_refusal(int status, const char *body, size_t len, struct err *e);

#endif
