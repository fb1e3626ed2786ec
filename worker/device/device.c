/* device.c - see device.h. The total is asked for once, at the first question: it does not change
 * while the program runs. SPDX-License-Identifier: MIT */
#include "worker/device/device.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "worker/device/probe.h"

#define MAX_GB 1e6 /* of $STUDIO_WORKER_VRAM_GB */
#define GIB    ((double)(1ull << 30))

struct device {
	bool probed, fixed;
	double vram_total_gb;
	bool nvml_sought;
	struct nvml *nvml; /* NULL: no such driver */
	enum presence presence;
	char *machine_name, *username;
};

/* Names go to the studio as JSON, which takes UTF-8 only. */
static char *printable(const char *s)
{
	char *copy = xstrdup(s);
	for (char *p = copy; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return copy;
}

static char *host_name(void)
{
	char name[HOST_NAME_MAX + 1] = "";
	if (gethostname(name, sizeof name - 1) < 0 || !name[0])
		return xstrdup("unknown");
	return printable(name);
}

static char *user_name(void)
{
	char space[4096];
	struct passwd pw, *found = NULL;
	if (getpwuid_r(getuid(), &pw, space, sizeof space, &found) == 0 && found &&
	    found->pw_name[0])
		return printable(found->pw_name);
	const char *env = getenv("USER");
	return printable(env && env[0] ? env : "unknown");
}

struct device *device_new(struct clock *clock)
{
	(void)clock; /* presence will be asked for by time */
	struct device *d = xcalloc(1, sizeof *d);
	d->machine_name = host_name();
	d->username = user_name();
	return d;
}

struct device *device_new_fixed(double vram_total_gb, enum presence presence)
{
	struct device *d = xcalloc(1, sizeof *d);
	d->probed = d->fixed = true;
	d->vram_total_gb = vram_total_gb;
	d->presence = presence;
	d->machine_name = xstrdup("fixed-machine");
	d->username = xstrdup("fixed-user");
	return d;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	nvml_free(d->nvml);
	free(d->machine_name);
	free(d->username);
	free(d);
}

static bool from_environment(double *gb)
{
	const char *text = getenv("STUDIO_WORKER_VRAM_GB");
	char *end;
	if (!text || !text[0])
		return false;
	double v = strtod(text, &end);
	if (*end || !isfinite(v) || v < 0 || v > MAX_GB)
		return false;
	*gb = v;
	return true;
}

void gpu_memory_take(struct gpu_memory *out, uint64_t total, uint64_t free)
{
	if (total <= out->total)
		return;
	if (free > total)
		free = total;
	*out = (struct gpu_memory){
	    .known = true, .measured = free < total, .total = total, .free = free};
}

static void ask_nvml(struct device *d, struct gpu_memory *out)
{
	if (!d->nvml_sought)
		d->nvml = nvml_new();
	d->nvml_sought = true;
	if (d->nvml)
		nvml_memory(d->nvml, out);
}

static void ask_drivers(struct device *d, struct gpu_memory *out)
{
	const char *drm = getenv("STUDIO_WORKER_DRM");
	if (!drm || !drm[0]) {
		ask_nvml(d, out);
		drm = "/sys/class/drm";
	}
	amdgpu_memory(drm, out);
	intel_memory(drm, "/dev/dri", out);
}

void device_gpu_memory(struct device *d, struct gpu_memory *out)
{
	double gb = d->vram_total_gb;
	*out = (struct gpu_memory){0};
	if (d->fixed || from_environment(&gb))
		gpu_memory_take(out, (uint64_t)(gb * GIB), UINT64_MAX);
	else
		ask_drivers(d, out);
}

static double total_gb(struct device *d)
{
	double gb;
	struct gpu_memory m = {0};
	if (from_environment(&gb))
		return gb;
	ask_drivers(d, &m);
	return round((double)m.total / GIB * 10) / 10;
}

double device_vram_total_gb(struct device *d)
{
	if (!d->probed)
		d->vram_total_gb = total_gb(d);
	d->probed = true;
	return d->vram_total_gb;
}

enum presence device_presence(struct device *d)
{
	return d->presence;
}

const char *device_machine_name(struct device *d)
{
	return d->machine_name;
}

const char *device_username(struct device *d)
{
	return d->username;
}
