/* lines.h - what pocketsphinx prints, made into a transcript. Pure.
 * Version 0.8+5prealpha (pocketsphinx_continuous -time yes) prints a line of words for every
 * utterance and then one line `word start end probability` for each; version 5 (pocketsphinx live)
 * one JSON object for every utterance. SPDX-License-Identifier: MIT */
#ifndef POCKETSPHINX_LINES_H
#define POCKETSPHINX_LINES_H

#include "worker/engine/transcript.h"

struct lines {
	struct transcript out;
	bool words;	 /* whether their times are wanted */
	char *utterance; /* not yet added: its words follow; NULL: none */
	double start, end;
	bool timed; /* start and end are known */
	bool cut;   /* an utterance lost its end: a line of output is 4 KiB at most */
};

void lines_init(struct lines *l, bool words);
void lines_fini(struct lines *l);
/* One line of standard output. Returns the time it reaches in the recording, negative when it tells
 * none. */
double lines_add(struct lines *l, const char *line);
/* After the last line. */
void lines_end(struct lines *l);

#endif
