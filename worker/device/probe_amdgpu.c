/* probe_amdgpu.c - AMD GPUs by the files of the amdgpu driver
 * (docs.kernel.org/gpu/amdgpu/driver-misc.html). SPDX-License-Identifier: MIT */
#include "worker/device/probe.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/device/device.h"

/* An APU's own memory is a small piece cut out of the system's; the rest it may use is "GTT". */
#define CARVE_OUT (4ull << 30)

static uint64_t read_number(const char *drm_folder, const char *card, const char *file)
{
	uint64_t v = 0;
	auto_free char *path = xasprintf("%s/%s/device/%s", drm_folder, card, file);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64, &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

static void take_card(const char *drm_folder, const char *card, struct gpu_memory *out)
{
	uint64_t total = read_number(drm_folder, card, "mem_info_vram_total");
	if (total == 0)
		return;
	uint64_t used = read_number(drm_folder, card, "mem_info_vram_used");
	if (total <= CARVE_OUT) {
		total += read_number(drm_folder, card, "mem_info_gtt_total");
		used += read_number(drm_folder, card, "mem_info_gtt_used");
	}
	gpu_memory_take(out, total, used < total ? total - used : 0);
}

void amdgpu_memory(const char *drm_folder, struct gpu_memory *out)
{
	DIR *dir = opendir(drm_folder);
	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));)
		/* card0-HDMI-A-1 is a connector */
		if (strncmp(d->d_name, "card", 4) == 0 && !strchr(d->d_name, '-'))
			take_card(drm_folder, d->d_name, out);
	closedir(dir);
}
