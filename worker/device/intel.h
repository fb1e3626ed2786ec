/* intel.h - the query for memory regions, as the kernel's i915_drm.h and xe_drm.h have it. Written
 * down here because Debian 12's headers lack it. Private to worker/device.
 * SPDX-License-Identifier: MIT */
#ifndef DEVICE_INTEL_H
#define DEVICE_INTEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct gpu_memory;

struct i915_query_item {
	uint64_t query_id;
	int32_t length;
	uint32_t flags;
	uint64_t data_ptr;
};
struct i915_query {
	uint32_t num_items, flags;
	uint64_t items_ptr;
};
struct i915_regions { /* regions follow */
	uint32_t num_regions, rsvd[3];
};
struct i915_region {
	uint16_t memory_class, memory_instance;
	uint32_t rsvd0;
	uint64_t probed_size, unallocated_size, rsvd1[8];
};
#define I915_IOCTL_QUERY	  _IOWR('d', 0x40 + 0x39, struct i915_query)
#define I915_QUERY_MEMORY_REGIONS 4
#define I915_CLASS_DEVICE	  1

struct xe_device_query {
	uint64_t extensions;
	uint32_t query, size;
	uint64_t data, reserved[2];
};
struct xe_regions { /* regions follow */
	uint32_t num_regions, pad;
};
struct xe_region {
	uint16_t mem_class, instance;
	uint32_t min_page_size;
	uint64_t total_size, used, cpu_visible_size, cpu_visible_used, reserved[6];
};
#define XE_IOCTL_DEVICE_QUERY _IOWR('d', 0x40 + 0x00, struct xe_device_query)
#define XE_QUERY_MEM_REGIONS  1
#define XE_CLASS_VRAM	      1

/* Read an answer of `size` bytes; what does not fit into it is ignored. */
void i915_regions(const void *data, size_t size, struct gpu_memory *out);
void xe_regions(const void *data, size_t size, struct gpu_memory *out);

#endif
