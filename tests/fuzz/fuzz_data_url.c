/* data: addresses of a task.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "worker/model/data_url.h"

#define MOST 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = xstrndup((const char *)data, size);
	unsigned char *out;
	size_t len;
	struct err e = ERR_INIT;
	int rc = data_url_decode(url, MOST, &out, &len, &e);
	if (rc == 0 && (!data_url(url) || len == 0 || len > MOST))
		abort();
	if (rc && (out || rc != -e.code))
		abort();
	free(out);
	free(url);
	return 0;
}
