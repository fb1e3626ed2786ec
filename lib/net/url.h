/* url.h - the addresses of a studio (docs/protocol.md, section 1).
 * SPDX-License-Identifier: MIT */
#ifndef NET_URL_H
#define NET_URL_H

#include "lib/base/err.h"

/* From `api_base_url` to the base every address starts with: query, fragment and trailing slashes
 * dropped, /graphics/api appended unless the path already ends with it. http and https only; user
 * info is refused. free() it. */
char *url_api_base(const char *api_base_url, struct err *e) MUST_CHECK;
/* Base with the format's path appended; each %s of `fmt` is percent-encoded as one path segment.
 * free() it. */
char *url_path(const char *base, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* http→ws, https→wss. free() it. */
char *url_to_ws(const char *url, struct err *e) MUST_CHECK;
/* image/png for "png"; application/octet-stream for what is not known. */
const char *content_type_of_ext(const char *ext);

#endif
