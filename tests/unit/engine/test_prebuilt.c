/* The prebuilt archive of engine sd-cpp: which one, whether it can run here, and its way from a
 * mirror into models_root/bin. SPDX-License-Identifier: MIT */
#include "tests/unit/net/fetch_fixture.h"

#include <sys/stat.h>

#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "tests/unit/engine/prebuilt_archives.h"
#include "worker/engine/program.h"
#include "worker/engine/sd-cpp/prebuilt.h"
#include "worker/engine/sd-cpp/prebuilt_install.h"
#include "worker/engine/sd-cpp/prebuilt_pins.h"
#include "worker/model/store.h"

extern const struct engine_ops sd_cpp_engine;
static char archives[] = "/tmp/prebuilt-archives-XXXXXX";

/* ---- which archive ---- */

#define HASH "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

static const struct machine ubuntu = {"Linux", "x86_64", 2, 39, "ubuntu debian", true};

static int choose(struct pin *p, const struct machine *m, const char *url, const char *sha256,
		  const char *says)
{
	struct err e = ERR_INIT;
	int rc = pin_choose(p, m, url, sha256, &e);
	assert_int_equal(rc, -e.code);
	if (says && !strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	return rc;
}

static void the_pinned_one(void **state)
{
	(void)state;
	struct pin p;
	assert_int_equal(choose(&p, &ubuntu, NULL, NULL, NULL), 0);
	assert_non_null(strstr(p.url, "https://github.com/leejet/stable-diffusion.cpp/releases/"));
	assert_non_null(strstr(p.url, "x86_64-vulkan.zip"));
	assert_int_equal(strlen(p.sha256), 64);
	assert_false(p.mirrored);
	const char *pinned = p.sha256;
	assert_int_equal(choose(&p, &ubuntu, "https://mirror.lan/sd.zip", NULL, NULL), 0);
	assert_string_equal(p.url, "https://mirror.lan/sd.zip");
	assert_string_equal(p.sha256, pinned); /* a mirror brings the same bytes */
	assert_true(p.mirrored);
	assert_int_equal(choose(&p, &ubuntu, NULL, HASH, NULL), 0);
	assert_string_equal(p.sha256, HASH);
}

static void what_can_not_run_here(void **state)
{
	(void)state;
	struct pin p;
	struct machine m = ubuntu;
	m.vulkan = false;
	static const char *const remedies[][2] = {
	    {"ubuntu debian", "sudo apt-get install libvulkan1"},
	    {"debian", "sudo apt-get install libvulkan1"},
	    {"fedora", "sudo dnf install vulkan-loader"},
	    {"\"rocky\" \"rhel centos fedora\"", "sudo dnf install vulkan-loader"},
	    {"arch", "sudo pacman -S vulkan-icd-loader"},
	    {"\"opensuse-tumbleweed\" \"opensuse suse\"", "sudo zypper install libvulkan1"},
	    {"plan9", "libvulkan.so.1"},
	};
	for (size_t i = 0; i < ARRAY_LEN(remedies); i++) {
		m.os = remedies[i][0];
		assert_int_equal(choose(&p, &m, NULL, NULL, remedies[i][1]), -ENOTSUP);
	}
	/* A mirror of the same archive changes nothing; another archive may not need it. */
	assert_int_equal(choose(&p, &m, "https://m/x", NULL, "Vulkan"), -ENOTSUP);
	assert_int_equal(choose(&p, &m, "https://m/x", HASH, NULL), 0);
	m = ubuntu;
	m.glibc_minor = 36;
	assert_int_equal(choose(&p, &m, NULL, NULL, "needs glibc 2.39"), -ENOTSUP);
	m.glibc_major = m.glibc_minor = 0;
	assert_int_equal(choose(&p, &m, NULL, NULL, "glibc"), -ENOTSUP);
	m = ubuntu;
	m.arch = "riscv64";
	assert_int_equal(choose(&p, &m, NULL, NULL, "riscv64"), -ENOTSUP);
	assert_int_equal(choose(&p, &m, NULL, HASH, "STUDIO_WORKER_SD_CPP_URL"), -ENOTSUP);
	assert_int_equal(choose(&p, &m, "https://m/x", NULL, "STUDIO_WORKER_SD_CPP_SHA256"),
			 -ENOTSUP);
	assert_int_equal(choose(&p, &ubuntu, NULL, "abc", "64 hex"), -EINVAL);
	assert_int_equal(choose(&p, &ubuntu, "https://m/x", HASH "0", "64 hex"), -EINVAL);
}

/* ---- from a mirror ---- */

struct world {
	struct fixture *f;
	struct store *store;
	struct origin_server *mirror;
	struct engine_env env;
	char root[64];
	bool ended, retryable;
	int ends;
	struct err err;
};

static void answer(struct origin_server *o, int fd, const char *text)
{
	char name[128], *data = NULL;
	size_t len = 0;
	(void)o;
	if (strstr(text, " /mute")) {
		until_gone(fd);
		return;
	}
	auto_free char *path = sscanf(text, "GET /%100[a-z.-] ", name) == 1
				   ? fs_join(archives, name)
				   : xstrdup("/nothing");
	if (fs_read(path, 8u << 20, &data, &len, NULL)) {
		say(fd, "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	say_fmt(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, data + at, len - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	free(data);
}

static void on_end(void *arg, const struct err *err, bool retryable)
{
	struct world *w = arg;
	w->ended = true;
	w->ends++;
	w->retryable = retryable;
	w->err = err ? *err : (struct err)ERR_INIT;
}

static const struct prebuilt_events events = {.end = on_end};

/* `hash_of`: of which archive the SHA-256 is expected. */
static void point_to(struct world *w, const char *name, const char *hash_of)
{
	char hex[SHA256_HEX_LEN];
	auto_free char *path = fs_join(archives, hash_of);
	auto_free char *url = xasprintf("http://127.0.0.1:%d/%s", w->mirror->port, name);
	assert_int_equal(sha256_file(path, hex, NULL), 0);
	setenv("STUDIO_WORKER_SD_CPP_URL", url, 1);
	setenv("STUDIO_WORKER_SD_CPP_SHA256", hex, 1);
}

static void bring(struct world *w)
{
	w->ended = false;
	assert_non_null(prebuilt_get(&w->env, &events, w));
	assert_false(w->ended);
	await(w->f, &w->ended);
}

static char *found(struct world *w, const char *program)
{
	struct engine_env env = {.models_root = w->root};
	return engine_program_find(program, &env);
}

/* Only what stays is in models_root/bin: the folder, the links, the lock. */
static void expect_entries(struct world *w, size_t want)
{
	char **names = NULL;
	size_t n = 0;
	struct err e = ERR_INIT;
	auto_free char *bin = fs_join(w->root, "bin");
	assert_int_equal(fs_list(bin, &names, &n, &e), 0);
	if (n != want)
		fail_msg("%zu entries instead of %zu, the last is %s", n, want, names[n - 1]);
	fs_list_free(names, n);
}

static void it_is_installed(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"good.zip", "good.tar.gz", "good.tar.xz", "good.zip"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct stat st;
		point_to(w, names[i], names[i]);
		bring(w);
		assert_string_equal(w->err.text, "");
		auto_free char *server = found(w, "sd-server");
		assert_non_null(server);
		auto_free char *real = realpath(server, NULL);
		assert_non_null(strstr(real, "/bin/sd-cpp-"));
		assert_int_equal(stat(real, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		auto_free char *command = xasprintf("'%s' >/dev/null", server);
		assert_int_equal(system(command), 0);
	}
	/* Three folders (the zip was put in place twice), two links, the lock. */
	expect_entries(w, 6);
}

static void a_wrong_hash_is_not_installed(void **state)
{
	struct world *w = *state;
	point_to(w, "good.tar.gz", "good.zip");
	bring(w);
	assert_int_equal(w->err.code, EBADMSG);
	assert_non_null(strstr(w->err.text, "SHA-256"));
	assert_false(w->retryable);
	assert_null(found(w, "sd-server"));
	expect_entries(w, 1);
}

static void a_hostile_one_is_not_installed(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"bad-up.zip", "bad-link-up.tar.gz", "bad-none.tar.gz",
					    "bad-cut.zip", "bad-hardlink.tar.gz"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		point_to(w, names[i], names[i]);
		bring(w);
		if (!w->err.code || w->retryable)
			fail_msg("%s: '%s'", names[i], w->err.text);
		assert_null(found(w, "sd-server"));
		expect_entries(w, 1);
	}
}

static void a_mirror_that_has_nothing(void **state)
{
	struct world *w = *state;
	point_to(w, "nothing.zip", "good.zip");
	bring(w);
	assert_non_null(strstr(w->err.text, "404"));
	expect_entries(w, 1);
}

static void the_owners_program_stays(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	auto_free char *bin = fs_join(w->root, "bin");
	auto_free char *own = fs_join(bin, "sd-cli");
	assert_int_equal(fs_mkdirs(bin, 0755, &e), 0);
	assert_int_equal(fs_write_atomic(own, "mine", 4, 0755, &e), 0);
	point_to(w, "good.zip", "good.zip");
	bring(w);
	assert_int_equal(w->err.code, 0);
	char *data;
	size_t len;
	assert_int_equal(fs_read(own, 100, &data, &len, &e), 0);
	assert_string_equal(data, "mine");
	free(data);
	auto_free char *server = found(w, "sd-server");
	assert_non_null(server);
}

static void only_one_at_a_time(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	auto_free char *bin = fs_join(w->root, "bin");
	auto_free char *lock = fs_join(bin, ".sd-cpp.lock");
	assert_int_equal(fs_mkdirs(bin, 0700, &e), 0);
	int fd = fs_lock(lock, &e);
	assert_true(fd >= 0);
	point_to(w, "good.zip", "good.zip");
	bring(w);
	assert_int_equal(w->err.code, EBUSY);
	assert_true(w->retryable);
	fs_unlock(fd);
	bring(w);
	assert_int_equal(w->err.code, 0);
}

static void cancelled(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"mute", "good.zip", "good.zip"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		point_to(w, names[i], "good.zip");
		w->ended = false;
		struct prebuilt *p = prebuilt_get(&w->env, &events, w);
		if (i == 0)
			while (w->mirror->requests == 0)
				uv_run(&w->f->loop.uv, UV_RUN_ONCE);
		prebuilt_cancel(p);
		live(w->f, 50);
		assert_false(w->ended);
	}
	prebuilt_cancel(NULL);
	assert_null(found(w, "sd-server"));
}

/* What the pool does may outlive the engine, and its copy of env with it. */
static void the_engine_may_be_gone(void **state)
{
	struct world *w = *state;
	struct engine_env *env = xmalloc(sizeof *env);
	*env = w->env;
	point_to(w, "good.zip", "good.zip");
	w->ended = false;
	assert_non_null(prebuilt_get(env, &events, w));
	memset(env, 0, sizeof *env);
	free(env);
	await(w->f, &w->ended);
	assert_string_equal(w->err.text, "");
	auto_free char *server = found(w, "sd-server");
	assert_non_null(server);
}

/* A cancellation ends the hashing: a wrong hash would be another error. */
static void hashing_is_stopped(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	struct installation place;
	atomic_bool stop = true;
	assert_int_equal(installation_begin(&place, w->root, &e), 0);
	assert_int_equal(fs_write_atomic(place.archive, "x", 1, 0600, &e), 0);
	assert_int_equal(installation_finish(&place, HASH, &stop, &e), -ECANCELED);
	stop = false;
	err_clear(&e);
	assert_int_equal(installation_finish(&place, HASH, &stop, &e), -EBADMSG);
	installation_end(&place);
}

static bool advertised(struct engine *engine)
{
	struct capabilities *c = capabilities_new();
	engine->ops->advertise(engine, c);
	bool any = c->models.n > 0;
	capabilities_free(c);
	return any;
}

/* Every heartbeat asks; looking opens the Vulkan loader and reads a file. */
static void the_machine_is_looked_at_once_a_minute(void **state)
{
	struct world *w = *state;
	struct clock clock;
	clock_init(&clock);
	clock_set(&clock, 1000, 0);
	w->env.clock = &clock;
	point_to(w, "good.zip", "good.zip");
	struct engine *engine = sd_cpp_engine.new(&w->env);
	assert_true(advertised(engine));
	setenv("STUDIO_WORKER_SD_CPP_SHA256", "no hash", 1);
	clock_set(&clock, 60999, 0);
	assert_true(advertised(engine));
	clock_set(&clock, 61000, 0);
	assert_false(advertised(engine));
	point_to(w, "good.zip", "good.zip");
	assert_false(advertised(engine));
	clock_set(&clock, 121000, 0);
	assert_true(advertised(engine));
	engine->ops->free(engine);
	clock_fini(&clock);
}

static void no_place_for_it(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	auto_free char *file = fs_join(w->root, "bin");
	assert_int_equal(fs_write_atomic(file, "x", 1, 0600, &e), 0);
	point_to(w, "good.zip", "good.zip");
	bring(w);
	assert_int_not_equal(w->err.code, 0);
	setenv("STUDIO_WORKER_SD_CPP_SHA256", "no hash", 1);
	assert_int_equal(prebuilt_check(&e), -EINVAL);
	bring(w);
	assert_int_equal(w->err.code, EINVAL);
	assert_false(w->retryable);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	setenv("PATH", "/usr/bin:/bin", 1);
	strcpy(w->root, "/tmp/prebuilt-XXXXXX");
	if (!mkdtemp(w->root))
		return -1;
	setenv("HOME", w->root, 1);
	w->mirror = origin_server_new(answer);
	struct store_deps deps = {.clock = &w->f->loop.clock,
				  .pool = &w->f->loop.pool,
				  .log = &w->f->log,
				  .net = w->f->net,
				  .models_root = w->root};
	w->store = store_new(&deps);
	w->env = (struct engine_env){.loop = &w->f->loop,
				     .clock = &w->f->loop.clock,
				     .pool = &w->f->loop.pool,
				     .log = &w->f->log,
				     .models_root = w->root,
				     .net = w->f->net,
				     .store = w->store};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	loop_settle(&w->f->loop);
	store_free(w->store);
	fixture_free(w->f);
	origin_server_free(w->mirror);
	fs_remove_tree(w->root, NULL);
	free(w);
	unsetenv("STUDIO_WORKER_SD_CPP_URL");
	unsetenv("STUDIO_WORKER_SD_CPP_SHA256");
	return 0;
}

static int make_archives(void **state)
{
	(void)state;
	return archives_make(archives);
}

static int remove_archives(void **state)
{
	(void)state;
	return fs_remove_tree(archives, NULL);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_pinned_one),
	    cmocka_unit_test(what_can_not_run_here),
	    test(it_is_installed),
	    test(a_wrong_hash_is_not_installed),
	    test(a_hostile_one_is_not_installed),
	    test(a_mirror_that_has_nothing),
	    test(the_owners_program_stays),
	    test(only_one_at_a_time),
	    test(cancelled),
	    test(the_engine_may_be_gone),
	    test(hashing_is_stopped),
	    test(the_machine_is_looked_at_once_a_minute),
	    test(no_place_for_it),
	};
	return cmocka_run_group_tests(tests, make_archives, remove_archives);
}
