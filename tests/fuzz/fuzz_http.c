/* Paths, escapes and addresses: pattern and path, a line each.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "lib/net/router.h"
#include "lib/net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(const char *pattern, const char *path)
{
	struct params p;
	if (!router_match(pattern, path, &p))
		return;
	for (size_t i = 0; i < p.n; i++)
		if (!p.values[i][0] || !p.names[i])
			abort(); /* no empty value */
	params_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const patterns[] = {"/", "/workers/{workerId}/jobs/{jobId}/complete",
					       "/jobs/{id}", "/{a}/{b}/{c}/{d}/{e}"};
	char *text = xstrndup((const char *)data, size);
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		match(patterns[i], text);
	char *path = strchr(text, '\n');
	if (path) {
		*path++ = '\0';
		match(text, path);
	}
	/* Decoding what was escaped gives it back. */
	struct err e = ERR_INIT;
	char *base = url_api_base(text, &e), *escaped = url_path("", "%s", text);
	char *decoded = percent_decode(escaped, strlen(escaped));
	if (strlen(text) < 1000 && utf8_valid(text, strlen(text)) &&
	    (!decoded || strcmp(decoded, text) != 0))
		abort();
	if (base) {
		char *ws = url_to_ws(base, &e);
		if (!ws)
			abort();
		free(ws);
	}
	free(base);
	free(escaped);
	free(decoded);
	free(percent_decode((const char *)data, size));
	free(text);
	return 0;
}
