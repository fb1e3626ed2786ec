/* scan.h - reads sd-server's answer to a poll as it comes in: the text of the first "b64_json" is
 * decoded on the way, so that a picture is never in memory as a whole; the rest, small, is kept as
 * JSON with an empty text in its place. Pure. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_SCAN_H
#define SD_CPP_SCAN_H

#include <stdint.h>

#include "lib/base/buf.h"

#define SCAN_MAX_REST (64u << 10)

struct scan {
	struct buf rest; /* the JSON without the base64 */
	enum { SCAN_OUTSIDE, SCAN_STRING, SCAN_ESCAPE, SCAN_BASE64 } state;
	bool found;    /* a b64_json was there */
	bool skipping; /* another one: its text goes nowhere */
	char text[9];  /* the start of the last string */
	size_t text_len;
	bool is_key; /* the last string was b64_json */
	bool value;  /* and a colon came behind it */
	uint32_t bits;
	unsigned n_bits, n_pads;
	uint64_t n_chars, max;
};
void scan_init(struct scan *s, uint64_t max); /* max: bytes that may be decoded */
void scan_fini(struct scan *s);
/* Appends what was decoded to `out`. -EPROTO for what is no such answer, -EFBIG for too much. */
int scan_feed(struct scan *s, const char *data, size_t len, struct buf *out,
	      struct err *e) MUST_CHECK;
/* Whether the base64 that was found ended as it should. */
bool scan_whole(const struct scan *s);

#endif
