/* probe.h - how much memory the GPUs of this machine have, a probe a kind of driver.
 * SPDX-License-Identifier: MIT */
#ifndef DEVICE_PROBE_H
#define DEVICE_PROBE_H

#include <stdint.h>

/* Bytes of the biggest GPU, 0 when there is none of the kind. Both block for some milliseconds. */
uint64_t probe_nvml(void); /* NVIDIA, by its own library, loaded only when it is installed */
uint64_t probe_amdgpu(const char *drm_folder); /* AMD, by sysfs: /sys/class/drm */

#endif
