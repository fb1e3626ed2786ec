/* sha256.h - SHA-256 (FIPS 180-4) over OpenSSL's EVP.
 * SPDX-License-Identifier: MIT */
#ifndef FS_SHA256_H
#define FS_SHA256_H

#include <stdatomic.h>
#include <stddef.h>

#include "lib/base/err.h"

#define SHA256_HEX_LEN 65 /* with '\0' */

struct sha256; /* streaming */
struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_final_hex(struct sha256 *s, char hex[SHA256_HEX_LEN]); /* frees s */
void sha256_free(struct sha256 *s);				   /* NULL allowed */

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_LEN]);
void sha256_raw(const void *data, size_t len, unsigned char out[32]);
int sha256_file(const char *path, char hex[SHA256_HEX_LEN], struct err *e) MUST_CHECK; /* blocks */
/* *stop from another thread ends it with -ECANCELED. */
int sha256_file_until(const char *path, const atomic_bool *stop, char hex[SHA256_HEX_LEN],
		      struct err *e) MUST_CHECK;

#endif
