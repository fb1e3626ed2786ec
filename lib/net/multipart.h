/* multipart.h - inside lib/net: multipart/form-data (RFC 7578) as it comes in, in pieces of any
 * size. Pure: no socket, no clock. Memory: one part's headers and one boundary, never a file.
 *
 *   preamble ──boundary──▶ headers ──▶ data ──boundary──▶ headers … ──last boundary──▶ end
 *
 * SPDX-License-Identifier: MIT */
#ifndef NET_MULTIPART_H
#define NET_MULTIPART_H

#include <sys/types.h>

#include "lib/base/buf.h"

#define MULTIPART_MAX_BOUNDARY 70u /* RFC 2046, section 5.1.1 */
#define MULTIPART_MAX_HEADERS  (8u << 10)
#define MULTIPART_MAX_FIELD    (1u << 20)
#define MULTIPART_MAX_PARTS    64u

struct multipart_sink {
	/* A part without a file name, whole; text is '\0'-terminated UTF-8. */
	void (*field)(void *arg, const char *name, const char *text, size_t len);
	void (*file)(void *arg, const char *name, const char *filename, const char *type);
	void (*data)(void *arg, const void *data, size_t len); /* of the last file */
};

enum multipart_state {
	MULTIPART_PREAMBLE,
	MULTIPART_BOUNDARY, /* behind "--boundary": "--", or blanks and the end of the line */
	MULTIPART_HEADERS,
	MULTIPART_DATA,
	MULTIPART_END,
};

struct multipart {
	const struct multipart_sink *sink;
	void *arg;
	enum multipart_state state;
	char delimiter[4 + MULTIPART_MAX_BOUNDARY + 1]; /* "\r\n--boundary" */
	size_t delimiter_len, matched; /* bytes of it seen, not yet known to be one */
	char tail[2];		       /* what followed the boundary */
	size_t tail_len, parts;
	struct buf headers, value;
	char *name;
	bool in_file;
};

/* content_type is the request's header. -EINVAL when it is no multipart/form-data with a proper
 * boundary. */
int multipart_init(struct multipart *m, const char *content_type, const struct multipart_sink *sink,
		   void *arg, struct err *e) MUST_CHECK;
void multipart_fini(struct multipart *m);
/* -EPROTO for a broken body or text that is not UTF-8, -EMSGSIZE for a field, headers or a number
 * of parts over the limits. It must not be fed after an error. */
int multipart_feed(struct multipart *m, const char *data, size_t len, struct err *e) MUST_CHECK;
/* Whether the last boundary came. */
bool multipart_complete(const struct multipart *m);

#endif
