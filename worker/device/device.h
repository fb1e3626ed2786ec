/* device.h - this machine: GPU memory, host and user name, presence of the owner.
 * SPDX-License-Identifier: MIT */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/wire/capabilities.h"

struct device;
struct device *device_new(struct clock *clock);
/* A fixed one, for tests. */
struct device *device_new_fixed(double vram_total_gb, enum presence presence);
void device_free(struct device *d);
double
device_vram_total_gb(struct device *d); /* GiB, of the biggest GPU; 0 when no probe answers */
/* Of the biggest GPU, as it is now: asks the driver, some microseconds after the first time.
 * $STUDIO_WORKER_VRAM_GB is believed before any driver; $STUDIO_WORKER_DRM names another folder
 * than /sys/class/drm, and then NVIDIA's library isn't asked. */
struct gpu_memory {
	bool known;	      /* false: no probe answers, both are 0 */
	bool measured;	      /* false: free is the total, what is in use can't be seen */
	uint64_t total, free; /* bytes */
};
void device_gpu_memory(struct device *d, struct gpu_memory *out);
enum presence device_presence(struct device *d);
const char *device_machine_name(struct device *d);
const char *device_username(struct device *d);

#endif
