/* says.h - what a line of sd-server's or sd-cli's output says about the progress. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef SD_CPP_SAYS_H
#define SD_CPP_SAYS_H

#include <stdbool.h>

enum says {
	SAYS_NOTHING,
	SAYS_LOADING, /* a bar in MB/s: weights are read; fraction is of this part of the model */
	SAYS_STEP,    /* a bar in it/s or s/it */
	SAYS_READ,    /* the prompt is understood */
	SAYS_SAMPLED,
	SAYS_DECODED,
	SAYS_DONE, /* the answer is about to be there */
};
struct saying {
	enum says what;
	int step, of; /* of a bar; 0 <= step <= of, of > 0 */
};
struct saying says(const char *line);

/* Where a job stands, from one line to the next; zeroed at its start. */
struct standing {
	bool sampled;	 /* bars from now on are the decoder's tiles */
	double fraction; /* never goes back */
	char detail[48];
};
/* Whether the line moved it. */
bool standing_take(struct standing *s, const struct saying *said);

#endif
