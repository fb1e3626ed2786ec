/* probe_intel.c - Intel GPUs with memory of their own: their drivers show none in sysfs, but answer
 * a query on the render node. What is in use they tell only to CAP_PERFMON: others read that
 * nothing is. SPDX-License-Identifier: MIT */
#include "worker/device/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "worker/device/device.h"
#include "worker/device/intel.h"

#define QUERY_MAX (64u << 10) /* bytes of an answer; some hundred in practice */

/* ioctl() that goes on after a signal. */
static int ask(int fd, unsigned long request, void *arg)
{
	int rc;
	do
		rc = ioctl(fd, request, arg);
	while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	return rc;
}

/* Both drivers say the size when asked with size 0, and fill it when asked again. */
static int query_i915(int fd, void *data, uint32_t *size)
{
	struct i915_query_item item = {.query_id = I915_QUERY_MEMORY_REGIONS,
				       .length = (int32_t)*size,
				       .data_ptr = (uintptr_t)data};
	struct i915_query q = {.num_items = 1, .items_ptr = (uintptr_t)&item};
	if (ask(fd, I915_IOCTL_QUERY, &q) < 0 || item.length <= 0)
		return -1;
	*size = (uint32_t)item.length;
	return 0;
}

static int query_xe(int fd, void *data, uint32_t *size)
{
	struct xe_device_query q = {
	    .query = XE_QUERY_MEM_REGIONS, .size = *size, .data = (uintptr_t)data};
	if (ask(fd, XE_IOCTL_DEVICE_QUERY, &q) < 0 || q.size == 0)
		return -1;
	*size = q.size;
	return 0;
}

static void *answer(int fd, int (*query)(int fd, void *data, uint32_t *size), uint32_t *size)
{
	*size = 0;
	if (query(fd, NULL, size) < 0 || *size > QUERY_MAX)
		return NULL;
	void *data = xcalloc(1, *size);
	if (query(fd, data, size) == 0)
		return data;
	free(data);
	return NULL;
}

void i915_regions(const void *data, size_t size, struct gpu_memory *out)
{
	struct i915_regions head;
	struct i915_region r;
	if (size < sizeof head)
		return;
	memcpy(&head, data, sizeof head);
	for (uint32_t i = 0; i < head.num_regions; i++) {
		if (size - sizeof head < (i + 1ull) * sizeof r)
			return;
		memcpy(&r, (const char *)data + sizeof head + i * sizeof r, sizeof r);
		if (r.memory_class == I915_CLASS_DEVICE)
			gpu_memory_take(out, r.probed_size, r.unallocated_size);
	}
}

void xe_regions(const void *data, size_t size, struct gpu_memory *out)
{
	struct xe_regions head;
	struct xe_region r;
	if (size < sizeof head)
		return;
	memcpy(&head, data, sizeof head);
	for (uint32_t i = 0; i < head.num_regions; i++) {
		if (size - sizeof head < (i + 1ull) * sizeof r)
			return;
		memcpy(&r, (const char *)data + sizeof head + i * sizeof r, sizeof r);
		if (r.mem_class == XE_CLASS_VRAM)
			gpu_memory_take(out, r.total_size,
					r.used < r.total_size ? r.total_size - r.used : 0);
	}
}

static void take_i915(int fd, struct gpu_memory *out)
{
	uint32_t size;
	auto_free void *data = answer(fd, query_i915, &size);
	if (data)
		i915_regions(data, size, out);
}

static void take_xe(int fd, struct gpu_memory *out)
{
	uint32_t size;
	auto_free void *data = answer(fd, query_xe, &size);
	if (data)
		xe_regions(data, size, out);
}

/* A number means something else to every driver, so none is asked before its name is known. */
static bool driven_by(const char *drm_folder, const char *node, const char *driver)
{
	char target[256];
	auto_free char *path = xasprintf("%s/%s/device/driver", drm_folder, node);
	ssize_t n = readlink(path, target, sizeof target - 1);
	target[n > 0 ? n : 0] = '\0';
	const char *name = strrchr(target, '/');
	return strcmp(name ? name + 1 : target, driver) == 0;
}

static void take_node(const char *drm_folder, const char *dev_folder, const char *node,
		      struct gpu_memory *out)
{
	bool i915 = driven_by(drm_folder, node, "i915");
	if (!i915 && !driven_by(drm_folder, node, "xe"))
		return;
	auto_free char *path = xasprintf("%s/%s", dev_folder, node);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (i915)
		take_i915(fd, out);
	else
		take_xe(fd, out);
	close(fd);
}

void intel_memory(const char *drm_folder, const char *dev_folder, struct gpu_memory *out)
{
	DIR *dir = opendir(drm_folder);
	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));)
		if (strncmp(d->d_name, "renderD", 7) == 0)
			take_node(drm_folder, dev_folder, d->d_name, out);
	closedir(dir);
}
