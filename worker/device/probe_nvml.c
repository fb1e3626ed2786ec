/* probe_nvml.c - NVIDIA GPUs by NVML (docs.nvidia.com/deploy/nvml-api). Loaded at run time: the
 * program must start where no driver is. SPDX-License-Identifier: MIT */
#include "worker/device/probe.h"

#include <dlfcn.h>
#include <stddef.h>

#include "lib/base/mem.h"
#include "worker/device/device.h"

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

struct nvml *nvml_new(void)
{
	struct nvml n = {.lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)};
	if (!n.lib)
		return NULL;
	if (symbol(n.lib, "nvmlInit_v2", &n.init) && symbol(n.lib, "nvmlShutdown", &n.shutdown) &&
	    symbol(n.lib, "nvmlDeviceGetCount_v2", &n.count) &&
	    symbol(n.lib, "nvmlDeviceGetHandleByIndex_v2", &n.handle) &&
	    symbol(n.lib, "nvmlDeviceGetMemoryInfo", &n.memory) && n.init() == 0) {
		struct nvml *kept = xmalloc(sizeof *kept);
		*kept = n;
		return kept;
	}
	dlclose(n.lib);
	return NULL;
}

void nvml_free(struct nvml *n)
{
	if (!n)
		return;
	n->shutdown();
	dlclose(n->lib);
	free(n);
}

void nvml_memory(struct nvml *n, struct gpu_memory *out)
{
	unsigned count = 0;
	if (n->count(&count) != 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct nvml_memory m = {0};
		void *device = NULL;
		if (n->handle(i, &device) == 0 && n->memory(device, &m) == 0)
			gpu_memory_take(out, m.total, m.free);
	}
}
