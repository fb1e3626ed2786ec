/* main.c - studio-worker: what the daemon is made of, in the order it starts; it ends in the
 * opposite order. SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/net.h"
#include "worker/api/control.h"
#include "worker/cli/cli.h"
#include "worker/cli/lock.h"
#include "worker/cli/parts.h"
#include "worker/engine/registry.h"
#include "worker/registration/registration.h"
#include "worker/session/advert.h"
#include "worker/session/session.h"

#define USER_AGENT	 "studio-worker/" PROGRAM_VERSION
#define REGISTER_POLL_MS 30000
#define WATCH_MS	 1000
#define GOODBYE_MS	 60 /* for the close frame to leave; all of shutdown takes less than 250 ms */

struct daemon {
	const struct run_options *options;
	struct loop loop;
	struct log log;
	struct log_stderr log_sink;
	struct config config;
	int lock;
	struct identity identity;
	uint64_t identity_stamp;
	struct rng rng;
	struct events events;
	struct ship *ship;
	struct history *history;
	struct transport *transport;
	struct device *device;
	struct store *store;
	struct host *host;
	struct program_path programs[PROGRAMS_MAX];
	struct engines *engines;
	struct jobs *jobs;
	struct advert_deps advert;
	struct registration *registration;
	struct session *session;
	struct control *control;
	struct timer watch, goodbye;
	int exit_code;
};

/* ---- the parts ---- */

static void open_log(struct daemon *d)
{
	log_init(&d->log, &d->loop.clock);
	log_stderr_init(&d->log_sink, 2, d->options->log_format, &d->options->log_filter);
	log_add_sink(&d->log, &d->log_sink.sink);
}

/* Something to say before there is a session is shipped too: the queue keeps it. */
static void open_observers(struct daemon *d)
{
	events_init(&d->events);
	d->ship = ship_new(&d->log);
	d->history = history_new(&d->loop.clock, &d->loop.pool, &d->events, d->config.state_dir);
}

static bool file_in_use(void *arg, const char *path)
{
	const struct daemon *d = arg;
	return d->host && host_uses(d->host, path);
}

static bool file_release(void *arg, const char *path)
{
	const struct daemon *d = arg;
	return d->host && host_release_file(d->host, path);
}

static void open_store(struct daemon *d)
{
	struct store_deps deps = {
	    .clock = &d->loop.clock,
	    .pool = &d->loop.pool,
	    .log = &d->log,
	    .net = d->transport,
	    .models_root = d->config.options.models_root,
	    .in_use = file_in_use,
	    .release = file_release,
	    .in_use_arg = d,
	};
	d->store = store_new(&deps);
}

/* For tests: they wait seconds where people wait minutes. */
static double deadline_scale(void)
{
	const char *text = getenv("STUDIO_WORKER_ENGINE_DEADLINES");
	return text ? strtod(text, NULL) : 0;
}

static void open_host(struct daemon *d)
{
	struct host_deps deps = {
	    .loop = &d->loop,
	    .log = &d->log,
	    .net = d->transport,
	    .device = d->device,
	    .state_dir = d->config.state_dir,
	    .deadline_scale = deadline_scale(),
	};
	d->host = host_new(&deps);
}

static void open_engines(struct daemon *d)
{
	struct engine_env env = {
	    .loop = &d->loop,
	    .clock = &d->loop.clock,
	    .pool = &d->loop.pool,
	    .log = &d->log,
	    .models_root = d->config.options.models_root,
	    .programs = d->programs,
	    .net = d->transport,
	    .host = d->host,
	    .store = d->store,
	};
	d->engines = engines_new(&env);
}

/* At start, and whenever the owner edited the file. */
static void apply_options(void *arg)
{
	struct daemon *d = arg;
	const struct options *o = &d->config.options;
	parts_programs(d->programs, o);
	parts_limit_store(d->store, o);
	parts_limit_host(d->host, o);
}

/* Only what runs on the GPU needs room there. */
static int admit(void *arg, const struct claim *c, struct err *e)
{
	struct daemon *d = arg;
	const struct engine_ops *ops = engines_ops(d->engines, c->source->engine);
	if (!ops || !c->task->known || !(ops->provisioned & KIND_BIT(c->task->kind)))
		return 0;
	return host_admit(d->host, engine_memory_bytes(c->vram_gb_estimate), e);
}

static int open_jobs(struct daemon *d, struct err *e)
{
	struct jobs_deps deps = {
	    .clock = &d->loop.clock,
	    .log = &d->log,
	    .pool = &d->loop.pool,
	    .transport = d->transport,
	    .events = &d->events,
	    .engines = d->engines,
	    .store = d->store,
	    .admit = admit,
	    .admit_arg = d,
	    .state_dir = d->config.state_dir,
	};
	d->jobs = jobs_new(&deps, e);
	d->advert = (struct advert_deps){&d->config, d->engines, d->device, d->jobs, &d->log};
	return d->jobs ? 0 : -e->code;
}

static struct capabilities *capabilities(void *arg)
{
	return advert_snapshot(&((struct daemon *)arg)->advert);
}

static uint64_t poll_ms(void)
{
	const char *text = getenv("STUDIO_WORKER_REGISTER_POLL_MS");
	unsigned long long ms = text ? strtoull(text, NULL, 10) : 0;
	return ms ? ms : REGISTER_POLL_MS;
}

static void open_registration(struct daemon *d)
{
	struct registration_deps deps = {
	    .clock = &d->loop.clock,
	    .log = &d->log,
	    .rng = &d->rng,
	    .transport = d->transport,
	    .events = &d->events,
	    .config = &d->config,
	    .identity = &d->identity,
	    .capabilities = capabilities,
	    .capabilities_arg = d,
	    .poll_ms = poll_ms(),
	};
	d->registration = registration_new(&deps);
}

static void stop_loop(void *arg)
{
	loop_stop(&((struct daemon *)arg)->loop);
}

static void session_ended(void *arg, enum session_outcome outcome)
{
	static const int codes[] = {
	    [SESSION_STOPPED] = EXIT_OK,
	    [SESSION_AUTH_FAILED] = EXIT_AUTH,
	    [SESSION_FATAL] = EXIT_FATAL,
	    [SESSION_EXHAUSTED] = EXIT_EXHAUSTED,
	    [SESSION_STUDIO_ERROR] = EXIT_STUDIO_ERROR,
	};
	struct daemon *d = arg;
	d->exit_code = codes[outcome];
	timer_start(&d->goodbye, &d->loop.clock, GOODBYE_MS, stop_loop, d);
}

static void open_session(struct daemon *d)
{
	struct session_deps deps = {
	    .clock = &d->loop.clock,
	    .log = &d->log,
	    .transport = d->transport,
	    .events = &d->events,
	    .jobs = d->jobs,
	    .ship = d->ship,
	    .config = &d->config,
	    .config_changed = apply_options,
	    .config_arg = d,
	    .identity = &d->identity,
	    .capabilities = capabilities,
	    .capabilities_arg = d,
	    .ended = session_ended,
	    .ended_arg = d,
	};
	d->session = session_new(&deps);
}

/* Without it the daemon still does its work; only its owner has to look at the log instead. */
static void open_control(struct daemon *d)
{
	struct err e = ERR_INIT;
	struct control_deps deps = {
	    .loop = &d->loop,
	    .log = &d->log,
	    .jobs = d->jobs,
	    .status =
		{
		    .config = &d->config,
		    .identity = &d->identity,
		    .history = d->history,
		    .jobs = d->jobs,
		    .store = d->store,
		    .host = d->host,
		    .started_ms = clock_wall(&d->loop.clock),
		},
	};
	d->control = control_new(&deps, &e);
	if (!d->control)
		log_error(&d->log, "api", NULL, "status, pause and resume can't reach us: %s",
			  e.text);
}

/* `register --reset` is another process: it changes the file. */
static void watch_identity(void *arg)
{
	struct daemon *d = arg;
	uint64_t stamp = identity_stamp(&d->config);
	if (stamp != d->identity_stamp)
		registration_reload(d->registration);
	d->identity_stamp = stamp;
	timer_start(&d->watch, &d->loop.clock, WATCH_MS, watch_identity, d);
}

static void on_stop(void *arg)
{
	session_stop(((struct daemon *)arg)->session);
}

/* ---- the life ---- */

static enum lock_result lock_folder(struct daemon *d, struct err *e)
{
	enum lock_result r = folder_lock(&d->config, &d->lock, e);
	if (r != LOCK_BUSY || !d->options->wait_for_lock)
		return r;
	return folder_lock_wait(&d->config, &d->log, &d->lock, e);
}

/* The folder is ours from here on, or *code says why not. */
static bool take_folder(struct daemon *d, int *code)
{
	struct err e = ERR_INIT;
	*code = EXIT_CONFIG;
	if (config_load(&d->config, d->options->config_path, &d->log, &e) < 0) {
		cli_fail(*code, &e);
		return false;
	}
	switch (lock_folder(d, &e)) {
	case LOCK_HELD:
		return true;
	case LOCK_BUSY:
		fprintf(stderr, "studio-worker: another daemon already serves %s\n", d->config.dir);
		*code = EXIT_OK;
		return false;
	case LOCK_STOPPED:
		*code = EXIT_OK;
		return false;
	case LOCK_FAILED:
		break;
	}
	*code = cli_fail(EXIT_FAILED, &e);
	return false;
}

/* A production worker's config.toml may hold the secrets, and may be open to everybody. */
static void import_identity(struct daemon *d)
{
	struct err e = ERR_INIT;
	if (identity_import(&d->identity, &d->config, &e) < 0)
		log_warn(&d->log, "config", NULL, "the identity stays in %s: %s", d->config.path,
			 e.text);
	if (identity_exposed(&d->config))
		log_warn(&d->log, "config", NULL,
			 "%s holds this worker's token and others can read it: chmod 600 '%s'",
			 d->config.path, d->config.path);
}

static int open_all(struct daemon *d)
{
	struct err e = ERR_INIT;
	if (identity_load(&d->identity, &d->config, &e) < 0)
		return cli_fail(EXIT_CONFIG, &e);
	import_identity(d);
	d->identity_stamp = identity_stamp(&d->config);
	rng_init_system(&d->rng);
	open_observers(d);
	d->transport = net_new(&d->loop, &d->log, USER_AGENT, &e);
	if (!d->transport)
		return cli_fail(EXIT_FAILED, &e);
	d->device = device_new(&d->loop.clock);
	open_store(d);
	open_host(d);
	apply_options(d);
	open_engines(d);
	if (open_jobs(d, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	open_registration(d);
	open_session(d);
	open_control(d);
	return EXIT_OK;
}

static void serve(struct daemon *d)
{
	loop_on_stop(&d->loop, on_stop, d);
	session_start(d->session);
	registration_start(d->registration);
	timer_start(&d->watch, &d->loop.clock, WATCH_MS, watch_identity, d);
	loop_run(&d->loop);
	timer_stop(&d->watch);
	timer_stop(&d->goodbye);
}

/* False: work that can't be stopped still runs in the pool, on a dead disk say. What it touches,
 * then or on its way back, stays: the process is to end. */
static bool close_all(struct daemon *d)
{
	control_free(d->control);
	session_free(d->session);
	registration_free(d->registration);
	jobs_free(d->jobs);
	loop_settle(&d->loop);	  /* an engine that was at work ends before it is freed */
	history_free(d->history); /* writes what is not written yet */
	if (d->loop.working)
		return false;
	engines_free(d->engines);
	host_free(d->host);
	store_free(d->store);
	device_free(d->device);
	if (d->transport)
		net_free(d->transport);
	ship_free(d->ship);
	identity_fini(&d->identity);
	if (d->lock >= 0)
		fs_unlock(d->lock);
	config_fini(&d->config);
	loop_fini(&d->loop);
	return d->loop.working == 0;
}

static int run_daemon(const struct run_options *o)
{
	struct daemon d = {.options = o, .lock = -1};
	struct err e = ERR_INIT;
	int code;
	if (loop_init(&d.loop, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	open_log(&d);
	if (take_folder(&d, &code))
		code = open_all(&d);
	else
		o = NULL;
	if (o && code == EXIT_OK) {
		serve(&d);
		code = d.exit_code;
	}
	/* libuv joins its threads at an ordinary exit, however long their work takes. */
	if (!close_all(&d))
		_exit(code);
	return code;
}

/* One arena, and freed memory goes back: an idle worker is small on a machine that is its owner's.
 */
static void tune_memory(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "engine-helper") == 0)
		return engines_helper(argc - 2, argv + 2);
	tune_memory();
	return cli_main(argc, argv, run_daemon);
}
