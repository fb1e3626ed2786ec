/* main.c - studiod: what it is made of, in the order it starts; it ends in the opposite order.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log_stderr.h"
#include "lib/base/mem.h"
#include "studio/api/api.h"
#include "studio/cli/cli.h"
#include "studio/cli/datadir.h"
#include "studio/hub/sweep.h"
#include "studio/registry/models.h"

struct studio {
	const struct settings *settings;
	struct loop loop;
	struct log log;
	struct log_stderr log_sink;
	struct rng rng;
	struct datadir data;
	struct storage *storage;
	struct blob_store *blobs;
	struct queue *queue;
	struct hub *hub;
	struct admission *admission;
	struct seeding seeding;
	struct sweep *sweep;
	struct api *api;
};

static void stop(void *arg)
{
	struct studio *s = arg;

	log_info(&s->log, "studiod", NULL, "stopping");
	loop_stop(&s->loop);
}

static int open_log(struct studio *s, struct err *e)
{
	enum log_format format;
	struct log_filter filter;
	int rc = log_filter_parse(&filter, s->settings->log_level, e);

	if (rc < 0)
		return err_wrap(e, "log_level");
	if (!log_format_parse(s->settings->log_format, &format))
		return err_set(e, EINVAL, "log_format: must be auto, human or json");
	log_init(&s->log, &s->loop.clock);
	log_stderr_init(&s->log_sink, 2, format, &filter);
	log_add_sink(&s->log, &s->log_sink.sink);
	rng_init_system(&s->rng);
	loop_on_stop(&s->loop, stop, s);
	return 0;
}

static int open_data(struct studio *s, struct err *e)
{
	datadir_init(&s->data, s->settings->data_dir);
	return datadir_open(&s->data, &s->rng, e);
}

static int open_storage(struct studio *s, struct err *e)
{
	s->storage = storage_sqlite_open(&s->loop, &s->log, s->data.db, e);
	return s->storage ? 0 : -e->code;
}

static int open_blobs(struct studio *s, struct err *e)
{
	s->blobs = blob_folder_open(&s->loop.pool, &s->log, s->data.results, e);
	return s->blobs ? 0 : -e->code;
}

static int open_queue(struct studio *s, struct err *e)
{
	struct queue_deps d = {&s->loop.clock, &s->log, &s->rng, s->storage};

	(void)e;
	s->queue = queue_new(&d);
	return 0;
}

static int open_hub(struct studio *s, struct err *e)
{
	const struct settings *o = s->settings;
	struct hub_deps d = {
	    .clock = &s->loop.clock,
	    .log = &s->log,
	    .queue = s->queue,
	    .storage = s->storage,
	    .grace_ms = (uint64_t)o->grace_ms,
	    .offer_ms = (uint64_t)o->offer_ms,
	    .idle_ms = (uint64_t)o->idle_ms,
	    .hello_ms = (uint64_t)o->hello_ms,
	};

	(void)e;
	s->hub = hub_new(&d);
	return 0;
}

static int open_admission(struct studio *s, struct err *e)
{
	struct admission_deps d = {
	    .clock = &s->loop.clock,
	    .log = &s->log,
	    .rng = &s->rng,
	    .storage = s->storage,
	    .per_minute = (unsigned)s->settings->register_per_minute,
	};

	(void)e;
	s->admission = admission_new(&d);
	s->seeding = (struct seeding){s->storage, &s->log};
	models_seed(&s->seeding);
	return 0;
}

static int start_sweep(struct studio *s, struct err *e)
{
	(void)e;
	s->sweep = sweep_start(&s->loop.clock, &s->log, s->storage, s->blobs);
	return 0;
}

static int open_api(struct studio *s, struct err *e)
{
	struct api_deps d = {
	    .loop = &s->loop,
	    .log = &s->log,
	    .storage = s->storage,
	    .blobs = s->blobs,
	    .queue = s->queue,
	    .hub = s->hub,
	    .admission = s->admission,
	    .intake = {s->queue, s->storage, s->blobs, s->hub, &s->log, &s->rng,
		       (uint64_t)s->settings->max_result_bytes},
	    .admin_token = &s->data.token,
	    .listen = s->settings->listen,
	    .behind_proxy = s->settings->behind_proxy,
	    .max_connections = (unsigned)s->settings->max_connections,
	};

	s->api = api_new(&d, e);
	return s->api ? 0 : err_wrap(e, "--listen");
}

static int announce(struct studio *s, struct err *e)
{
	return datadir_announce(&s->data, s->settings->listen, api_port(s->api), e);
}

static int (*const steps[])(struct studio *s, struct err *e) = {
    open_log, open_data,      open_storage, open_blobs, open_queue,
    open_hub, open_admission, start_sweep,  open_api,	announce,
};

/* Sockets first, then what they drive; the storage finishes what was asked of it. */
static void close_all(struct studio *s)
{
	if (s->api)
		datadir_withdraw(&s->data);
	api_stop(s->api);
	hub_free(s->hub);
	api_free(s->api);
	admission_free(s->admission);
	if (s->blobs)
		s->blobs->ops->close(s->blobs);
	if (s->storage)
		s->storage->ops->close(s->storage);
	sweep_free(s->sweep);
	queue_free(s->queue);
	datadir_fini(&s->data);
}

static int run(struct studio *s)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (steps[i](s, &e) < 0) {
			fprintf(stderr, "studiod: %s\n", e.text);
			return EXIT_FAILED;
		}
	}
	log_info(&s->log, "studiod", NULL, "studiod " PROGRAM_VERSION " serves %s at %s",
		 s->data.path, s->data.address);
	loop_run(&s->loop);
	return EXIT_OK;
}

static int serve(const struct settings *settings)
{
	struct studio s = {.settings = settings, .data.lock = -1};
	struct err e = ERR_INIT;
	int code = EXIT_FAILED;

	if (loop_init(&s.loop, &e) < 0) {
		fprintf(stderr, "studiod: %s\n", e.text);
		return EXIT_FAILED;
	}
	code = run(&s);
	close_all(&s);
	loop_fini(&s.loop);
	return code;
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, serve);
}
