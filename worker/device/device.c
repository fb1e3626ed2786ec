/* device.c - see device.h. The GPU is asked once, at the first question: its memory does not change
 * while the program runs, and the vendor's library need not stay loaded. SPDX-License-Identifier:
 * MIT */
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

struct device {
	bool probed;
	double vram_total_gb;
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
	d->probed = true;
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
	if (*end || !isfinite(v) || v < 0)
		return false;
	*gb = v;
	return true;
}

static double probe(void)
{
	double gb;
	if (from_environment(&gb))
		return gb;
	uint64_t nvidia = probe_nvml();
	uint64_t amd = probe_amdgpu("/sys/class/drm");
	double gib = (double)(nvidia > amd ? nvidia : amd) / (double)(1ull << 30);
	return round(gib * 10) / 10;
}

double device_vram_total_gb(struct device *d)
{
	if (!d->probed)
		d->vram_total_gb = probe();
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
