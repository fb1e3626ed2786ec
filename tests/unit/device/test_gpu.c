/* test_gpu.c - GPU memory by each kind of driver: a tree like sysfs, a library like NVIDIA's,
 * answers like those of i915 and xe. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "worker/device/device.h"
#include "worker/device/intel.h"
#include "worker/device/probe.h"

#define GIB (1ull << 30)

static char dir[32];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-gpu-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("STUDIO_WORKER_DRM");
	unsetenv("FAKE_NVML");
	auto_free char *command = xasprintf("rm -r '%s'", dir);
	return system(command);
}

static void put(const char *card, const char *file, const char *text)
{
	auto_free char *folder = xasprintf("%s/%s", dir, card);
	auto_free char *device = xasprintf("%s/device", folder);
	auto_free char *path = xasprintf("%s/%s", device, file);
	mkdir(folder, 0700);
	mkdir(device, 0700);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void expect(const struct gpu_memory *m, uint64_t total, uint64_t free)
{
	if (m->total != total || m->free != free)
		fail_msg("%llu of %llu", (unsigned long long)m->free, (unsigned long long)m->total);
	assert_int_equal(m->known, total != 0);
	assert_int_equal(m->measured, free < total);
}

static void amd(uint64_t total, uint64_t free)
{
	struct gpu_memory m = {0};
	amdgpu_memory(dir, &m);
	expect(&m, total, free);
}

static void amdgpu_takes_the_biggest_card(void **state)
{
	(void)state;
	amd(0, 0);
	put("card1", "mem_info_vram_total", "17163091968\n");
	amd(17163091968, 17163091968);
	put("card1", "mem_info_vram_used", "1000000000\n");
	put("card1", "mem_info_gtt_total", "99999999999\n");
	put("card1", "mem_info_gtt_used", "9999999999\n");
	amd(17163091968, 16163091968);
	put("card0", "mem_info_vram_total", "8589934592\n");
	put("card0", "mem_info_vram_used", "0\n");
	put("card1-DP-1", "mem_info_vram_total", "999999999999\n");
	put("card2", "mem_info_vram_total", "garbage\n");
	amd(17163091968, 16163091968);
	put("card1", "mem_info_vram_used", "99999999999\n");
	amd(17163091968, 0);
	struct gpu_memory m = {0};
	amdgpu_memory("/nonexistent", &m);
	expect(&m, 0, 0);
}

static void the_carve_out_of_an_apu_is_not_all_it_has(void **state)
{
	(void)state;
	put("card0", "mem_info_vram_total", "536870912\n");
	put("card0", "mem_info_vram_used", "500000000\n");
	put("card0", "mem_info_gtt_total", "8053063680\n");
	put("card0", "mem_info_gtt_used", "1000000000\n");
	amd(8589934592, 7089934592);
}

static void a_device_asks_anew_each_time(void **state)
{
	(void)state;
	struct gpu_memory m;
	setenv("STUDIO_WORKER_DRM", dir, 1);
	put("card0", "mem_info_vram_total", "17179869184\n");
	put("card0", "mem_info_vram_used", "1073741824\n");
	struct device *d = device_new(NULL);
	device_gpu_memory(d, &m);
	expect(&m, 16 * GIB, 15 * GIB);
	put("card0", "mem_info_vram_used", "4294967296\n");
	device_gpu_memory(d, &m);
	expect(&m, 16 * GIB, 12 * GIB);
	assert_true(device_vram_total_gb(d) == 16);
	device_free(d);
}

/* ---- NVIDIA: this program again, with the library's folder in LD_LIBRARY_PATH ---- */

static void write_gpus(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int as_nvidia(const char *path)
{
	struct gpu_memory m;
	write_gpus(path, "8589934592 8000000000\n25769803776 20000000000\nlost\n");
	struct device *d = device_new(NULL);
	if (device_vram_total_gb(d) != 24)
		return 1;
	device_gpu_memory(d, &m);
	if (!m.known || !m.measured || m.total != 24 * GIB || m.free != 20000000000)
		return 2;
	write_gpus(path, "25769803776 5000000000\n");
	device_gpu_memory(d, &m);
	if (m.free != 5000000000)
		return 3;
	write_gpus(path, "");
	device_gpu_memory(d, &m);
	if (m.known)
		return 4;
	device_free(d);
	/* Another folder of cards was named: only that counts. */
	write_gpus(path, "25769803776 5000000000\n");
	setenv("STUDIO_WORKER_DRM", "/nonexistent", 1);
	d = device_new(NULL);
	device_gpu_memory(d, &m);
	device_free(d);
	if (m.known)
		return 5;
	/* A library whose driver isn't loaded. */
	unsetenv("STUDIO_WORKER_DRM");
	unsetenv("FAKE_NVML");
	struct nvml *n = nvml_new();
	nvml_free(n);
	return n ? 6 : 0;
}

static void nvidia_is_asked_by_its_library(void **state)
{
	(void)state;
	auto_free char *path = xasprintf("%s/gpus", dir);
	auto_free char *command =
	    xasprintf("FAKE_NVML='%s' LD_LIBRARY_PATH='%s' /proc/%d/exe nvidia", path,
		      FAKE_NVML_DIR, getpid());
	int status = system(command);
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Intel ---- */

static void the_structs_are_those_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct i915_query_item), 24);
	assert_int_equal(sizeof(struct i915_query), 16);
	assert_int_equal(sizeof(struct i915_regions), 16);
	assert_int_equal(sizeof(struct i915_region), 88);
	assert_int_equal(sizeof(struct xe_device_query), 40);
	assert_int_equal(sizeof(struct xe_regions), 8);
	assert_int_equal(sizeof(struct xe_region), 88);
	assert_int_equal(I915_IOCTL_QUERY, 0xc0106479);	     /* DRM_IOCTL_I915_QUERY */
	assert_int_equal(XE_IOCTL_DEVICE_QUERY, 0xc0286440); /* DRM_IOCTL_XE_DEVICE_QUERY */
}

static void i915_tells_its_device_memory(void **state)
{
	(void)state;
	struct {
		struct i915_regions head;
		struct i915_region r[2];
	} a = {.head.num_regions = 2,
	       .r = {{.probed_size = 64 * GIB, .unallocated_size = 60 * GIB},
		     {.memory_class = I915_CLASS_DEVICE,
		      .probed_size = 16 * GIB,
		      .unallocated_size = 10 * GIB}}};
	struct gpu_memory m = {0};
	i915_regions(&a, sizeof a, &m);
	expect(&m, 16 * GIB, 10 * GIB);
	/* Without CAP_PERFMON. */
	a.r[1].unallocated_size = a.r[1].probed_size;
	m = (struct gpu_memory){0};
	i915_regions(&a, sizeof a, &m);
	expect(&m, 16 * GIB, 16 * GIB);
	/* More regions than the answer holds. */
	a.head.num_regions = UINT32_MAX;
	m = (struct gpu_memory){0};
	i915_regions(&a, sizeof a, &m);
	expect(&m, 16 * GIB, 16 * GIB);
	m = (struct gpu_memory){0};
	for (size_t n = 0; n < sizeof a; n++)
		i915_regions(&a, n, &m);
	expect(&m, 0, 0);
}

static void xe_tells_its_vram(void **state)
{
	(void)state;
	struct {
		struct xe_regions head;
		struct xe_region r[2];
	} a = {.head.num_regions = 2,
	       .r = {{.total_size = 64 * GIB},
		     {.mem_class = XE_CLASS_VRAM, .total_size = 12 * GIB, .used = 5 * GIB}}};
	struct gpu_memory m = {0};
	xe_regions(&a, sizeof a, &m);
	expect(&m, 12 * GIB, 7 * GIB);
	a.head.num_regions = UINT32_MAX;
	a.r[1].used = UINT64_MAX;
	m = (struct gpu_memory){0};
	xe_regions(&a, sizeof a, &m);
	expect(&m, 12 * GIB, 0);
	m = (struct gpu_memory){0};
	for (size_t n = 0; n < sizeof a; n++)
		xe_regions(&a, n, &m);
	expect(&m, 0, 0);
}

/* A node that is no GPU answers no query; one of another driver isn't asked at all. */
static void only_nodes_of_intel_drivers_are_opened(void **state)
{
	static const char *const drivers[] = {"i915", "xe", "amdgpu", ""};
	struct gpu_memory m = {0};
	(void)state;
	auto_free char *node = xasprintf("%s/renderD128", dir);
	auto_free char *dev = xasprintf("%s/dev", dir), *file = xasprintf("%s/renderD128", dev);
	auto_free char *driver = xasprintf("%s/device/driver", node);
	put("renderD128", "vendor", "0x8086\n");
	mkdir(dev, 0700);
	write_gpus(file, "");
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		auto_free char *target = xasprintf("../../bus/pci/drivers/%s", drivers[i]);
		unlink(driver);
		assert_int_equal(symlink(target, driver), 0);
		intel_memory(dir, dev, &m);
		expect(&m, 0, 0);
	}
	intel_memory("/nonexistent", dev, &m);
	expect(&m, 0, 0);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(amdgpu_takes_the_biggest_card),
	    IN_DIR(the_carve_out_of_an_apu_is_not_all_it_has),
	    IN_DIR(a_device_asks_anew_each_time),
	    IN_DIR(nvidia_is_asked_by_its_library),
	    cmocka_unit_test(the_structs_are_those_of_the_kernel),
	    cmocka_unit_test(i915_tells_its_device_memory),
	    cmocka_unit_test(xe_tells_its_vram),
	    IN_DIR(only_nodes_of_intel_drivers_are_opened),
	};
	if (argc > 1 && strcmp(argv[1], "nvidia") == 0)
		return as_nvidia(getenv("FAKE_NVML"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
