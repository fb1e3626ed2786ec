/* fetch_head.h - inside lib/net: the head of an answer, line by line. Pure: no socket, no clock.
 * SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_HEAD_H
#define NET_FETCH_HEAD_H

#include "lib/net/fetch.h"

#define HEAD_MAX       (64u << 10) /* bytes of all lines */
#define HEAD_MAX_VALUE 1024u	   /* of a value that is kept; a longer one is not */
#define HEAD_MAX_URL   (16u << 10) /* of Location */

struct head {
	struct fetch_head f; /* texts point below; url is not set here */
	char *etag, *last_modified, *content_type, *location;
	size_t bytes;
	bool chunked, whole; /* chunked: any transfer encoding */
	int64_t wall_ms;     /* now, for a Retry-After that is a date */
};

void head_init(struct head *h, int64_t wall_ms);
void head_fini(struct head *h);
/* One line as it came, with its end. 1 once the head of the real answer (no 1xx) is whole, 0 while
 * it is not, -EPROTO for a broken one, -EMSGSIZE when it is over HEAD_MAX. Lines after the head
 * (trailers) are ignored. */
int head_line(struct head *h, const char *line, size_t len, struct err *e) MUST_CHECK;

/* "bytes 0-99/1234", "bytes 0-99" + "/" + "*", "bytes *" + "/1234" (false, but *total is set).
 */
bool content_range_parse(const char *value, uint64_t *first, uint64_t *last, uint64_t *total);

#endif
