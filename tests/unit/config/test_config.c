/* test_config.c - config.toml and identity.json on disk.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/config/identity.h"

struct fixture {
	char dir[64];
	char *path, *identity;
	struct config config;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	strcpy(f->dir, "/tmp/test-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = fs_join(f->dir, "config.toml");
	f->identity = fs_join(f->dir, "identity.json");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fs_fault = NULL;
	config_fini(&f->config);
	fs_remove_tree(f->dir, NULL);
	free(f->path);
	free(f->identity);
	free(f);
	return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
	struct err e = ERR_INIT;
	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode, &e), 0);
}

static char *get(const char *path)
{
	struct err e = ERR_INIT;
	char *text = NULL;
	size_t len;
	assert_int_equal(fs_read(path, 1 << 20, &text, &len, &e), 0);
	return text;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void load(struct fixture *f)
{
	struct err e = ERR_INIT;
	config_fini(&f->config);
	assert_int_equal(config_load(&f->config, f->path, NULL, &e), 0);
}

static void a_missing_file_is_all_defaults_and_is_made_by_set(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	load(f);
	assert_false(fs_exists(f->path));
	assert_string_equal(f->config.dir, f->dir);
	assert_int_equal(config_set(&f->config, "vram_threshold_gb", "8", &e), 0);
	auto_free char *text = get(f->path);
	assert_string_equal(text, "vram_threshold_gb = 8.0\n");
	assert_int_equal(mode_of(f->path), 0600);
	assert_true(f->config.options.vram_threshold_gb == 8.0);
}

static void set_keeps_the_file_and_its_mode(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	put(f->path, "# mine\nvram_threshold_gb = 4 # small\nfuture = { a = 1 }\n", 0640);
	load(f);
	assert_int_equal(config_set(&f->config, "vram_threshold_gb", "8.5", &e), 0);
	auto_free char *text = get(f->path);
	assert_string_equal(text, "# mine\nvram_threshold_gb = 8.5 # small\nfuture = { a = 1 }\n");
	assert_int_equal(mode_of(f->path), 0640);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 0);
}

static void set_through_a_link_keeps_the_link(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	auto_free char *real = fs_join(f->dir, "real.toml");
	put(real, "auto_start = true\n", 0600);
	assert_int_equal(symlink(real, f->path), 0);
	load(f);
	assert_int_equal(config_set(&f->config, "auto_start", "false", &e), 0);
	struct stat st;
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	auto_free char *text = get(real);
	assert_string_equal(text, "auto_start = false\n");
}

static void a_broken_file_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	put(f->path, "auto_start = true\n", 0600);
	load(f);
	put(f->path, "auto_start = tru\n", 0600);
	assert_true(config_set(&f->config, "auto_start", "false", &e) < 0);
	assert_non_null(strstr(e.text, "config.toml"));
	auto_free char *text = get(f->path);
	assert_string_equal(text, "auto_start = tru\n");
	assert_true(config_refresh(&f->config, NULL, &e) < 0);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 0);
	assert_true(f->config.options.auto_start);
	struct config other = {0};
	assert_true(config_load(&other, f->path, NULL, &e) < 0);
	assert_null(other.path);
}

static void refresh_sees_edits(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	load(f);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 0);
	put(f->path, "vram_threshold_gb = 3\n", 0600);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 1);
	assert_true(f->config.options.vram_threshold_gb == 3.0);
	put(f->path, "vram_threshold_gb = 3 # same\n", 0600);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(config_refresh(&f->config, NULL, &e), 0);
	assert_true(f->config.options.vram_threshold_gb == 3.0);
}

static const char *fail_step;
static int fail_at(const char *step, const char *path)
{
	(void)path;
	return strcmp(step, fail_step) == 0 ? ENOSPC : 0;
}

static void a_failed_write_changes_nothing(void **state)
{
	struct fixture *f = *state;
	static const char *const steps[] = {"open", "write", "fsync", "rename"};
	put(f->path, "vram_threshold_gb = 3\n", 0600);
	load(f);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct err e = ERR_INIT;
		fail_step = steps[i];
		fs_fault = fail_at;
		assert_int_equal(config_set(&f->config, "vram_threshold_gb", "9", &e), -ENOSPC);
		fs_fault = NULL;
		auto_free char *text = get(f->path);
		assert_string_equal(text, "vram_threshold_gb = 3\n");
		assert_true(f->config.options.vram_threshold_gb == 3.0);
	}
}

static void set_refuses_unknown_keys_and_wrong_types(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	load(f);
	assert_true(config_set(&f->config, "nonsense", "1", &e) < 0);
	assert_true(config_set(&f->config, "auto_start", "1", &e) < 0);
	assert_false(fs_exists(f->path));
}

static void the_production_file_is_the_default_until_there_is_an_own(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	setenv("XDG_CONFIG_HOME", f->dir, 1);
	auto_free char *own_dir = fs_join(f->dir, "studio-worker");
	auto_free char *own = fs_join(own_dir, "config.toml");
	auto_free char *production_dir = fs_join(f->dir, "minis-studio-worker");
	auto_free char *production = fs_join(production_dir, "config.toml");
	auto_free char *nothing = config_default_path();
	assert_string_equal(nothing, own);
	assert_int_equal(fs_mkdirs(production_dir, 0700, &e), 0);
	put(production, "", 0600);
	auto_free char *theirs = config_default_path();
	assert_string_equal(theirs, production);
	assert_int_equal(fs_mkdirs(own_dir, 0700, &e), 0);
	put(own, "", 0600);
	auto_free char *ours = config_default_path();
	assert_string_equal(ours, own);
}

/* ---- identity ---- */

static const char production_text[] =
    "api_base_url = \"https://studio.example/\"\nworker_id = \"w-1\" # theirs\n"
    "auth_token = \"tok\"\nvram_threshold_gb = 10.0\ninstall_id = \"i-1\"\n"
    "registration_request_id = \"rr-1\"\nregistration_secret = \"sec\"\n";

static void identity_survives_a_restart_owner_only(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	load(f);
	struct identity id = {0}, again = {0};
	assert_int_equal(identity_load(&id, &f->config, &e), 0);
	assert_null(id.install_id);
	assert_false(identity_approved(&id));
	id.install_id = xstrdup("i-1");
	id.request_id = xstrdup("rr-1");
	secret_set(&id.registration_secret, "s3cret");
	id.rejected_reason = xstrdup("no");
	assert_int_equal(identity_save(&id, &f->config, &e), 0);
	assert_int_equal(mode_of(f->identity), 0600);
	assert_int_equal(identity_load(&again, &f->config, &e), 0);
	assert_string_equal(again.install_id, "i-1");
	assert_string_equal(again.request_id, "rr-1");
	assert_string_equal(again.rejected_reason, "no");
	assert_true(secret_equal(&again.registration_secret, &id.registration_secret));
	identity_fini(&id);
	identity_fini(&again);
}

static void a_production_config_is_imported(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct identity id = {0};
	put(f->path, production_text, 0600);
	load(f);
	assert_int_equal(identity_load(&id, &f->config, &e), 0);
	assert_true(identity_approved(&id));
	assert_string_equal(id.worker_id, "w-1");
	assert_string_equal(id.install_id, "i-1");
	assert_string_equal(id.request_id, "rr-1");
	assert_true(secret_is_set(&id.registration_secret));
	auto_free char *text = get(f->path);
	assert_string_equal(text, production_text);
	identity_fini(&id);
}

static void reset_clears_the_fields_wherever_they_are(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct identity id = {0};
	put(f->path, production_text, 0600);
	load(f);
	assert_int_equal(identity_load(&id, &f->config, &e), 0);
	assert_int_equal(identity_reset(&id, &f->config, &e), 0);
	assert_null(id.install_id);
	auto_free char *text = get(f->path);
	assert_string_equal(
	    text, "api_base_url = \"https://studio.example/\"\nvram_threshold_gb = 10.0\n");
	unlink(f->identity);
	assert_int_equal(identity_load(&id, &f->config, &e), 0);
	assert_null(id.worker_id);
	assert_null(id.install_id);
	identity_fini(&id);
}

static void a_reset_cut_in_the_middle_is_still_a_reset(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct identity id = {0};
	put(f->path, production_text, 0600);
	put(f->identity, "{}", 0600);
	load(f);
	assert_int_equal(identity_load(&id, &f->config, &e), 0);
	assert_null(id.worker_id);
	identity_fini(&id);
}

static void a_broken_identity_is_an_error_without_its_text(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct identity id = {0};
	put(f->identity, "{\"auth_token\": \"hunter2", 0600);
	load(f);
	assert_int_equal(identity_load(&id, &f->config, &e), -EINVAL);
	assert_non_null(strstr(e.text, "register --reset"));
	assert_null(strstr(e.text, "hunter2"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_missing_file_is_all_defaults_and_is_made_by_set),
	    T(set_keeps_the_file_and_its_mode),
	    T(set_through_a_link_keeps_the_link),
	    T(a_broken_file_is_left_alone),
	    T(refresh_sees_edits),
	    T(a_failed_write_changes_nothing),
	    T(set_refuses_unknown_keys_and_wrong_types),
	    T(the_production_file_is_the_default_until_there_is_an_own),
	    T(identity_survives_a_restart_owner_only),
	    T(a_production_config_is_imported),
	    T(reset_clears_the_fields_wherever_they_are),
	    T(a_reset_cut_in_the_middle_is_still_a_reset),
	    T(a_broken_identity_is_an_error_without_its_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
