/* probe_nvml.c - NVIDIA GPUs by NVML (docs.nvidia.com/deploy/nvml-api). Loaded at run time: the
 * program must start where no driver is. SPDX-License-Identifier: MIT */
#include "worker/device/probe.h"

#include <dlfcn.h>
#include <stddef.h>

struct nvml_memory { /* nvmlMemory_t */
	unsigned long long total, free, used;
};

struct nvml {
	void *lib;
	int (*init)(void);
	int (*shutdown)(void);
	int (*count)(unsigned *n);
	int (*handle)(unsigned i, void **device);
	int (*memory)(void *device, struct nvml_memory *m);
};

/* ISO C knows no cast from an object to a function pointer; POSIX promises that it works. */
static void *symbol(void *lib, const char *name, void *fn)
{
	*(void **)fn = dlsym(lib, name);
	return *(void **)fn;
}

static int load(struct nvml *n)
{
	n->lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!n->lib)
		return -1;
	if (symbol(n->lib, "nvmlInit_v2", &n->init) &&
	    symbol(n->lib, "nvmlShutdown", &n->shutdown) &&
	    symbol(n->lib, "nvmlDeviceGetCount_v2", &n->count) &&
	    symbol(n->lib, "nvmlDeviceGetHandleByIndex_v2", &n->handle) &&
	    symbol(n->lib, "nvmlDeviceGetMemoryInfo", &n->memory) && n->init() == 0)
		return 0;
	dlclose(n->lib);
	return -1;
}

static uint64_t biggest(const struct nvml *n)
{
	unsigned count = 0;
	uint64_t max = 0;
	if (n->count(&count) != 0)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		struct nvml_memory m = {0};
		void *device = NULL;
		if (n->handle(i, &device) == 0 && n->memory(device, &m) == 0 && m.total > max)
			max = m.total;
	}
	return max;
}

uint64_t probe_nvml(void)
{
	struct nvml n;
	if (load(&n) < 0)
		return 0;
	uint64_t max = biggest(&n);
	n.shutdown();
	dlclose(n.lib);
	return max;
}
