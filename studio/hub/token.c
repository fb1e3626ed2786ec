/* token.c - hashes of tokens and registration secrets, compared in constant time.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/token.h"

#include <string.h>

void token_hash(const struct secret *s, char hex[SHA256_HEX_LEN])
{
	const char *text = secret_reveal(s);
	sha256_hex(text, strlen(text), hex);
}

bool token_matches(const struct secret *s, const char *hash)
{
	char mine[SHA256_HEX_LEN];
	unsigned char diff = 0;
	if (!secret_is_set(s) || !hash || strlen(hash) != SHA256_HEX_LEN - 1)
		return false;
	token_hash(s, mine);
	for (size_t i = 0; i < SHA256_HEX_LEN - 1; i++)
		diff |= (unsigned char)(mine[i] ^ hash[i]);
	return diff == 0;
}
