/* answer.h - what whisper-server answers, made into the result of the job; in the pool, because the
 * answer to hours of speech has megabytes. SPDX-License-Identifier: MIT */
#ifndef WHISPER_CPP_ANSWER_H
#define WHISPER_CPP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/work.h"
#include "lib/base/err.h"

/* Four hours of quick speech with word times are some 10 MB and 500,000 values. */
#define ANSWER_MAX_BYTES  (32u << 20)
#define ANSWER_MAX_VALUES 1000000

/* `text` is verbose_json. language: as asked, a code or "auto"; duration: of the recording. NULL
 * with e filled when it is no such answer (EPROTO), or too long for a result (EFBIG).
 * *words_dropped: they were asked for, but did not all fit. */
json_t *answer_read(const char *text, size_t len, const char *language, double duration, bool words,
		    bool *words_dropped, struct err *e) MUST_CHECK;

struct answer;
typedef void answer_done(void *arg, json_t *result, bool words_dropped, const struct err *err);
struct answer_spec {
	const char *language; /* static */
	double duration;
	bool words;
};
/* The text is copied. done is called later, once: with a result, borrowed, or an error. */
struct answer *answer_start(struct pool *pool, const char *text, size_t len,
			    const struct answer_spec *spec, answer_done *done, void *arg);
/* done is not called any more. NULL allowed. */
void answer_forget(struct answer *a);

#endif
