/* probe.h - how much memory the GPUs of this machine have and how much of it is free, a probe a
 * kind of driver. SPDX-License-Identifier: MIT */
#ifndef DEVICE_PROBE_H
#define DEVICE_PROBE_H

#include <stdint.h>

struct gpu_memory;
struct nvml;

/* Each puts the biggest GPU of its kind into *out when that is bigger than what is there. All take
 * some microseconds, but for the first question to NVML, which loads the driver's library. */

/* NVIDIA, by its own library, looked for once and kept loaded. NULL: no such driver. */
struct nvml *nvml_new(void);
void nvml_free(struct nvml *n); /* NULL allowed */
void nvml_memory(struct nvml *n, struct gpu_memory *out);

/* AMD, by sysfs: /sys/class/drm */
void amdgpu_memory(const char *drm_folder, struct gpu_memory *out);

/* Intel cards with memory of their own, by the query ioctls of i915 and xe on /dev/dri. */
void intel_memory(const char *drm_folder, const char *dev_folder, struct gpu_memory *out);

/* For the probes: takes (total, free) when it is bigger. */
void gpu_memory_take(struct gpu_memory *out, uint64_t total, uint64_t free);

#endif
