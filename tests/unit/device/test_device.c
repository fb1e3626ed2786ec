/* test_device.c - what the worker says of its machine.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/device/device.h"

static void the_environment_overrides_the_probes(void **state)
{
	(void)state;
	setenv("STUDIO_WORKER_VRAM_GB", "24.5", 1);
	struct device *d = device_new(NULL);
	assert_true(device_vram_total_gb(d) == 24.5);
	setenv("STUDIO_WORKER_VRAM_GB", "1", 1);
	assert_true(device_vram_total_gb(d) == 24.5);
	struct gpu_memory m;
	device_gpu_memory(d, &m);
	assert_true(m.known && !m.measured);
	assert_true(m.total == 1ull << 30 && m.free == m.total);
	device_free(d);
	unsetenv("STUDIO_WORKER_VRAM_GB");
}

static void a_declared_size_that_is_none_is_ignored(void **state)
{
	static const char *const bad[] = {"", "x", "8x", "-1", "nan", "inf", "1e300"};
	(void)state;
	setenv("STUDIO_WORKER_DRM", "/nonexistent", 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct gpu_memory m;
		setenv("STUDIO_WORKER_VRAM_GB", bad[i], 1);
		struct device *d = device_new(NULL);
		device_gpu_memory(d, &m);
		assert_false(m.known);
		assert_true(device_vram_total_gb(d) == 0);
		device_free(d);
	}
	unsetenv("STUDIO_WORKER_VRAM_GB");
	unsetenv("STUDIO_WORKER_DRM");
}

static void a_machine_has_names(void **state)
{
	(void)state;
	struct device *d = device_new(NULL);
	assert_true(strlen(device_machine_name(d)) > 0);
	assert_true(strlen(device_username(d)) > 0);
	assert_int_equal(device_presence(d), PRESENCE_UNKNOWN);
	device_free(d);
}

static void a_fixed_one_says_what_it_was_given(void **state)
{
	(void)state;
	struct device *d = device_new_fixed(8, PRESENCE_IDLE);
	assert_true(device_vram_total_gb(d) == 8.0);
	assert_int_equal(device_presence(d), PRESENCE_IDLE);
	struct gpu_memory m;
	device_gpu_memory(d, &m);
	assert_true(m.known && !m.measured && m.total == 8ull << 30 && m.free == m.total);
	device_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_environment_overrides_the_probes),
	    cmocka_unit_test(a_declared_size_that_is_none_is_ignored),
	    cmocka_unit_test(a_machine_has_names),
	    cmocka_unit_test(a_fixed_one_says_what_it_was_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
