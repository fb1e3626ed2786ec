/* sha256.c - see sha256.h.
 * SPDX-License-Identifier: MIT */
#include "lib/fs/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails here only without memory. */
static void must(int ok)
{
	if (ok != 1) {
		fputs("SHA-256 is not available\n", stderr);
		abort();
	}
}

struct sha256 *sha256_new(void)
{
	struct sha256 *s = xcalloc(1, sizeof *s);
	s->ctx = EVP_MD_CTX_new();
	must(s->ctx != NULL);
	must(EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL));
	return s;
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
	must(EVP_DigestUpdate(s->ctx, data, len));
}

static void to_hex(const unsigned char raw[32], char hex[SHA256_HEX_LEN])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < 32; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[64] = '\0';
}

void sha256_final_hex(struct sha256 *s, char hex[SHA256_HEX_LEN])
{
	unsigned char raw[32];
	must(EVP_DigestFinal_ex(s->ctx, raw, NULL));
	to_hex(raw, hex);
	sha256_free(s);
}

void sha256_free(struct sha256 *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void sha256_raw(const void *data, size_t len, unsigned char out[32])
{
	must(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL));
}

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_LEN])
{
	unsigned char raw[32];
	sha256_raw(data, len, raw);
	to_hex(raw, hex);
}

int sha256_file(const char *path, char hex[SHA256_HEX_LEN], struct err *e)
{
	const atomic_bool stop = false;
	return sha256_file_until(path, &stop, hex, e);
}

int sha256_file_until(const char *path, const atomic_bool *stop, char hex[SHA256_HEX_LEN],
		      struct err *e)
{
	int fd = fs_open_regular(path, e);
	if (fd < 0)
		return fd;
	const size_t size = (size_t)256 * 1024;
	auto_free unsigned char *chunk = xmalloc(size);
	struct sha256 *s = sha256_new();
	ssize_t n = 0;
	bool stopped;
	while (!(stopped = atomic_load(stop)) && (n = read(fd, chunk, size)) != 0) {
		if (n > 0)
			sha256_update(s, chunk, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	int code = stopped ? ECANCELED : n < 0 ? errno : 0;
	close(fd);
	if (code) {
		sha256_free(s);
		return err_sys(e, code, "cannot read %s", path);
	}
	sha256_final_hex(s, hex);
	return 0;
}
