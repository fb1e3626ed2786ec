/* prebuilt.c - see prebuilt.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/prebuilt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/sd-cpp/prebuilt_install.h"
#include "worker/engine/sd-cpp/prebuilt_pins.h"
#include "worker/model/input.h"

#define ARCHIVE_MAX (512u << 20) /* of 2026: 46 MB */
#define PROGRESS_MS 250

struct prebuilt {
	/* Copied: what runs in the pool may outlive the engine. */
	struct clock *clock;
	struct pool *pool;
	struct log *log;
	struct store *store;
	struct prebuilt_events ev;
	void *arg;
	char *models_root, *url, *sha256;
	char *host; /* of a mirror */
	const char *allowed[2];
	struct fetch_policy policy;

	struct input *fetch;
	struct timer timer;	  /* progress, and the end of one that can't begin */
	struct work work;	  /* one at a time */
	bool busy, doomed, again; /* again: a later try may go well */
	atomic_bool stop;

	/* The pool's while `busy`. */
	struct installation place;
	struct err err;
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] ? value : NULL;
}

static int choose(struct pin *pin, struct err *e)
{
	struct machine m;
	struct machine_words words;
	machine_look(&m, &words);
	return pin_choose(pin, &m, variable("STUDIO_WORKER_SD_CPP_URL"),
			  variable("STUDIO_WORKER_SD_CPP_SHA256"), e);
}

int prebuilt_check(struct err *e)
{
	struct pin pin;
	return choose(&pin, e);
}

static void prebuilt_free(struct prebuilt *p)
{
	timer_stop(&p->timer);
	free(p->models_root);
	free(p->url);
	free(p->sha256);
	free(p->host);
	free(p);
}

static void submit(struct prebuilt *p, void (*run)(struct work *), void (*after)(struct work *))
{
	p->busy = true;
	p->work = (struct work){.run = run, .after = after};
	pool_submit(p->pool, &p->work);
}

/* ---- the end: what is temporary goes, then the caller hears ---- */

static void run_clean(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	installation_end(&p->place);
}

static void after_clean(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	struct err e = p->err;
	struct prebuilt_events ev = p->ev;
	void *arg = p->arg;
	bool doomed = p->doomed, again = p->again;
	prebuilt_free(p);
	if (!doomed)
		ev.end(arg, e.code ? &e : NULL, again || e.code == EBUSY);
}

static void clean(struct prebuilt *p)
{
	timer_stop(&p->timer);
	submit(p, run_clean, after_clean);
}

/* ---- install ---- */

static void run_install(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	if (installation_finish(&p->place, p->sha256, &p->stop, &p->err))
		err_wrap(&p->err, "%s", p->url);
}

static void after_install(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	if (!p->err.code)
		log_info(p->log, "engine", NULL, "sd-cpp: installed %s into %s/bin", p->url,
			 p->models_root);
	clean(p);
}

/* ---- fetch ---- */

static void say(struct prebuilt *p, double fraction, const char *detail)
{
	if (p->ev.progress && !p->doomed)
		p->ev.progress(p->arg, fraction, detail);
}

static void on_progress(void *arg)
{
	struct prebuilt *p = arg;
	char text[96];
	uint64_t total, taken = input_taken(p->fetch, &total);
	bool known = total != UINT64_MAX && total > 0;
	snprintf(text, sizeof text, "sd-server %.1f MB", (double)taken / 1e6);
	timer_start(&p->timer, p->clock, PROGRESS_MS, on_progress, p);
	say(p, known ? (double)taken / (double)total : -1, text);
}

static void on_fetched(void *arg, const struct err *err, bool again)
{
	struct prebuilt *p = arg;
	p->again = again;
	p->fetch = NULL;
	timer_stop(&p->timer);
	if (err) {
		p->err = *err;
		err_wrap(&p->err, "cannot fetch the prebuilt sd-server");
		clean(p);
		return;
	}
	submit(p, run_install, after_install);
	say(p, -1, "unpacking sd-server");
}

/* ---- prepare ---- */

static void run_prepare(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	(void)!installation_begin(&p->place, p->models_root, &p->err);
}

static void after_prepare(struct work *w)
{
	struct prebuilt *p = container_of(w, struct prebuilt, work);
	p->busy = false;
	if (p->err.code || p->doomed) {
		clean(p);
		return;
	}
	log_info(p->log, "engine", NULL, "sd-cpp: fetching %s", p->url);
	p->fetch = input_fetch_by(p->store, p->host ? &p->policy : NULL, p->url, p->place.archive,
				  ARCHIVE_MAX, on_fetched, p);
	timer_start(&p->timer, p->clock, PROGRESS_MS, on_progress, p);
}

/* "https://mirror.lan:8443/a/b.zip" → "mirror.lan:8443" */
static char *host_of(const char *url)
{
	const char *start = strstr(url, "://");
	start = start ? start + 3 : url;
	return xstrndup(start, strcspn(start, "/?#"));
}

/* The owner's own address may be anywhere; ours goes by the rules of the store. */
static void set_policy(struct prebuilt *p, const struct pin *pin)
{
	if (!pin->mirrored)
		return;
	p->host = host_of(pin->url);
	p->allowed[0] = p->host;
	p->policy.allow_hosts = p->allowed;
}

static void start(void *arg)
{
	struct prebuilt *p = arg;
	submit(p, run_prepare, after_prepare);
}

static void fail(void *arg)
{
	clean(arg);
}

struct prebuilt *prebuilt_get(const struct engine_env *env, const struct prebuilt_events *ev,
			      void *arg)
{
	struct prebuilt *p = xcalloc(1, sizeof *p);
	struct pin pin;
	p->clock = env->clock;
	p->pool = env->pool;
	p->log = env->log;
	p->store = env->store;
	p->ev = *ev;
	p->arg = arg;
	p->place.lock = -1;
	p->models_root = xstrdup_opt(env->models_root);
	if (choose(&pin, &p->err)) {
		timer_start(&p->timer, env->clock, 0, fail, p);
		return p;
	}
	p->url = xstrdup(pin.url);
	p->sha256 = xstrdup(pin.sha256);
	set_policy(p, &pin);
	timer_start(&p->timer, env->clock, 0, start, p);
	return p;
}

void prebuilt_cancel(struct prebuilt *p)
{
	if (!p || p->doomed)
		return;
	p->doomed = true;
	atomic_store(&p->stop, true);
	input_cancel(steal(&p->fetch));
	if (!p->busy)
		clean(p);
}
