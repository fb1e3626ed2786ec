/* data_url.h - the bytes that a data: URL holds itself (RFC 2397). Pure.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_DATA_URL_H
#define MODEL_DATA_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

bool data_url(const char *url); /* whether it is one */
/* Decodes its base64; free(*data). -EINVAL for another encoding or broken text, -EFBIG for more
 * than max bytes. */
int data_url_decode(const char *url, size_t max, unsigned char **data, size_t *len,
		    struct err *e) MUST_CHECK;

#endif
