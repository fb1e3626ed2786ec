/* token.h - the studio keeps only hashes of what it must recognise.
 * SPDX-License-Identifier: MIT */
#ifndef HUB_TOKEN_H
#define HUB_TOKEN_H

#include <stdbool.h>

#include "lib/base/secret.h"
#include "lib/fs/sha256.h"

/* Hex SHA-256 of the secret's text. */
void token_hash(const struct secret *s, char hex[SHA256_HEX_LEN]);
/* Constant time; false for an unset secret and for a hash that is NULL or no hash. */
bool token_matches(const struct secret *s, const char *hash);

#endif
