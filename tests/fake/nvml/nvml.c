/* nvml.c - plays libnvidia-ml.so.1: as many GPUs as lines in the file $FAKE_NVML, "TOTAL FREE"
 * each, read anew at every question; a line "lost" is a GPU that fell off the bus.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct nvml_memory {
	unsigned long long total, free, used;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device);
int nvmlDeviceGetMemoryInfo(void *device, struct nvml_memory *m);

/* How many lines there are; line `want` into *m. */
static unsigned read_line(unsigned want, struct nvml_memory *m)
{
	char line[128];
	unsigned n = 0;
	const char *path = getenv("FAKE_NVML");
	FILE *f = path ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof line, f)) {
		if (n++ == want && m)
			m->used = sscanf(line, "%llu %llu", &m->total, &m->free) == 2;
	}
	if (f)
		fclose(f);
	return n;
}

int nvmlInit_v2(void)
{
	return getenv("FAKE_NVML") ? 0 : 9; /* NVML_ERROR_DRIVER_NOT_LOADED */
}

int nvmlShutdown(void)
{
	return 0;
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
	*n = read_line(0, NULL);
	return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device)
{
	*device = (void *)(uintptr_t)(i + 1);
	return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, struct nvml_memory *m)
{
	read_line((unsigned)(uintptr_t)device - 1, m);
	if (!m->used)
		return 15; /* NVML_ERROR_GPU_IS_LOST */
	m->used = m->total - m->free;
	return 0;
}
