/* Pictures as strangers send them. The first byte says how many channels are wanted.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>

#include "worker/engine/pixels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int channels[] = {0, 1, 3, 4};
	struct pixels p;
	struct err e = ERR_INIT;
	if (size < 1)
		return 0;
	int want = channels[data[0] & 3];
	if (pixels_probe(data + 1, size - 1, &p, &e) == 0 && p.data)
		abort();
	err_clear(&e);
	if (pixels_decode(data + 1, size - 1, want, &p, &e) < 0) {
		if (!e.code || p.data)
			abort();
		return 0;
	}
	if (p.width < 1 || p.height < 1 || p.width > PIXELS_MAX_SIDE ||
	    p.height > PIXELS_MAX_SIDE || (want && p.channels != want))
		abort();
	/* Every byte of it is there. */
	unsigned sum = 0;
	size_t n = (size_t)p.width * (size_t)p.height * (size_t)p.channels;
	for (size_t i = 0; i < n; i += 61)
		sum += p.data[i];
	volatile unsigned keep = sum + p.data[n - 1];
	(void)keep;
	if (n < 100000) {
		struct pixels small;
		pixels_resize(&p, 7, 5, &small);
		pixels_fini(&small);
	}
	pixels_fini(&p);
	return 0;
}
