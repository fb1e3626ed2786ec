/* What sd-server answers to a poll, whole and in uneven pieces, which must come to the same.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/sd-cpp/says.h"
#include "worker/engine/sd-cpp/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 4096

static int scan(struct scan *s, struct buf *out, const char *data, size_t len, size_t piece)
{
	struct err e = ERR_INIT;
	int rc = 0;
	scan_init(s, MAX);
	buf_init(out, MAX + 8);
	for (size_t i = 0; i < len && rc == 0; i += piece)
		rc = scan_feed(s, data + i, len - i < piece ? len - i : piece, out, &e);
	if (rc && !e.code)
		abort();
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan whole, cut;
	struct buf a, b;
	char line[512];
	size_t n = size < sizeof line - 1 ? size : sizeof line - 1;
	int x = scan(&whole, &a, (const char *)data, size, size ? size : 1);
	int y = scan(&cut, &b, (const char *)data, size, 3);
	if (x != y)
		abort();
	if (x == 0 && (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0) ||
		       scan_whole(&whole) != scan_whole(&cut) || whole.rest.len != cut.rest.len))
		abort();
	scan_fini(&whole);
	scan_fini(&cut);
	buf_fini(&a);
	buf_fini(&b);
	memcpy(line, data, n);
	line[n] = '\0';
	struct saying said = says(line);
	struct standing standing = {0};
	if (standing_take(&standing, &said) && !(standing.fraction >= 0 && standing.fraction <= 1))
		abort();
	return 0;
}
