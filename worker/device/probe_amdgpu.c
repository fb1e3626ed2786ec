/* probe_amdgpu.c - AMD GPUs by the files of the amdgpu driver
 * (docs.kernel.org/gpu/amdgpu/driver-misc.html). SPDX-License-Identifier: MIT */
#include "worker/device/probe.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

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

static uint64_t card_bytes(const char *drm_folder, const char *card)
{
	uint64_t vram = read_number(drm_folder, card, "mem_info_vram_total");
	if (vram == 0 || vram > CARVE_OUT)
		return vram;
	return vram + read_number(drm_folder, card, "mem_info_gtt_total");
}

uint64_t probe_amdgpu(const char *drm_folder)
{
	uint64_t max = 0;
	DIR *dir = opendir(drm_folder);
	if (!dir)
		return 0;
	for (struct dirent *d; (d = readdir(dir));) {
		if (strncmp(d->d_name, "card", 4) != 0 || strchr(d->d_name, '-'))
			continue; /* card0-HDMI-A-1 is a connector */
		uint64_t bytes = card_bytes(drm_folder, d->d_name);
		if (bytes > max)
			max = bytes;
	}
	closedir(dir);
	return max;
}
