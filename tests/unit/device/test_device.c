/* test_device.c - what the worker says of its machine.
 * SPDX-License-Identifier: MIT */
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
#include "worker/device/probe.h"

static void put(const char *dir, const char *card, const char *file, const char *text)
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

static void amdgpu_takes_the_biggest_card_and_adds_gtt_to_a_carve_out(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-device-XXXXXX";
	assert_non_null(mkdtemp(dir));
	assert_true(probe_amdgpu(dir) == 0);
	put(dir, "card0", "mem_info_vram_total", "536870912\n");
	put(dir, "card0", "mem_info_gtt_total", "8053063680\n");
	assert_true(probe_amdgpu(dir) == 8589934592u);
	put(dir, "card1", "mem_info_vram_total", "17163091968\n");
	put(dir, "card1", "mem_info_gtt_total", "99999999999\n");
	put(dir, "card1-DP-1", "mem_info_vram_total", "99999999999\n");
	put(dir, "card2", "mem_info_vram_total", "garbage\n");
	assert_true(probe_amdgpu(dir) == 17163091968u);
	assert_true(probe_amdgpu("/nonexistent") == 0);
	auto_free char *command = xasprintf("rm -r '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void the_environment_overrides_the_probes(void **state)
{
	(void)state;
	setenv("STUDIO_WORKER_VRAM_GB", "24.5", 1);
	struct device *d = device_new(NULL);
	assert_true(device_vram_total_gb(d) == 24.5);
	setenv("STUDIO_WORKER_VRAM_GB", "1", 1);
	assert_true(device_vram_total_gb(d) == 24.5);
	device_free(d);
	unsetenv("STUDIO_WORKER_VRAM_GB");
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
	device_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(amdgpu_takes_the_biggest_card_and_adds_gtt_to_a_carve_out),
	    cmocka_unit_test(the_environment_overrides_the_probes),
	    cmocka_unit_test(a_machine_has_names),
	    cmocka_unit_test(a_fixed_one_says_what_it_was_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
