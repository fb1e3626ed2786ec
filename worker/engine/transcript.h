/* transcript.h - the result of a speech recogniser: {text, language, duration, segments?}, held to
 * what one frame can carry. SPDX-License-Identifier: MIT */
#ifndef ENGINE_TRANSCRIPT_H
#define ENGINE_TRANSCRIPT_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/buf.h"

/* Of the text, of all texts of segments, and of all words; a frame holds 4 MiB, and an escaped byte
 * may take six, but speech is not made of control characters. */
#define TRANSCRIPT_MAX_TEXT   (1u << 20)
#define TRANSCRIPT_MAX_VALUES 150000 /* JSON values; a peer takes 200,000 in a frame */

struct transcript {
	struct buf text;
	json_t *segments;
	json_t *words; /* of the segment that is open; NULL: none were added */
	size_t values, bytes;
	bool words_dropped, cut; /* there were more than fit */
};

void transcript_init(struct transcript *t);
void transcript_fini(struct transcript *t);
/* Times are seconds from the beginning. Words belong to the next segment that is added. Texts are
 * made valid UTF-8 and trimmed; what is empty then is skipped. */
void transcript_add_word(struct transcript *t, double start, double end, const char *word);
/* `text` goes on the text of the whole as it is (a space in front counts). */
void transcript_add_segment(struct transcript *t, double start, double end, const char *text);
/* The result, the caller's. NULL with e filled when the text alone is too long. language NULL: not
 * known, "". */
json_t *transcript_result(struct transcript *t, const char *language, double duration,
			  struct err *e) MUST_CHECK;

#endif
