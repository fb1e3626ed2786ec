/* worker.c - one simulated worker: the real session, jobs and outbox over a fake engine, on a
 * folder of its own that survives its crashes. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "tests/fake/fake_engine.h"
#include "tests/fake/fake_pool.h"
#include "tests/sim/sim.h"
#include "worker/device/device.h"
#include "worker/session/advert.h"
#include "worker/session/session.h"

#define KEPT_MS 600000 /* docs/protocol.md, section 7, point 6 */

/* What must hold of one job at this worker; survives crashes, as the folder does. */
struct fate {
	bool running;	  /* an engine works on it */
	bool kept;	  /* its result is in the outbox, durable */
	uint64_t kept_ms; /* since when, or since the last offer or answer */
	int status;	  /* last HTTP answer to its upload */
};

struct worker {
	struct sim *sim;
	unsigned no;
	char id[16], *dir, *config_path;
	struct secret token;
	struct fake_client *client;
	bool extensions;
	bool up, stopping, dying, disk_full, gone;
	uint64_t back_ms;
	unsigned kill_at, steps; /* of the work that runs now */
	bool in_work;
	struct timer restart;
	struct told told;
	struct fate fates[SIM_JOBS_MAX];
	unsigned writing; /* job + 1 whose result goes to the disk now */
	uint64_t outbox;

	struct log log;
	struct log_sink sink;
	struct events events;
	struct observer observer;
	struct fake_pool pool;
	struct fake_lab lab;
	struct engines *engines;
	struct device *device;
	struct config config;
	struct identity identity;
	struct jobs *jobs;
	struct ship *ship;
	struct session *session;
	struct advert_deps advert;
};

/* ---- the disk ---- */

static __thread struct worker *at_disk; /* whose files are being changed */

static int fault(const char *step, const char *path)
{
	struct worker *w = at_disk;
	(void)path;
	if (!w)
		return 0;
	if (w->dying)
		return EIO; /* the process is dead: nothing of this happens */
	if (w->kill_at && ++w->steps >= w->kill_at) {
		sim_trace(w->sim, "%s      is KILLED inside a work, before its step %u, %s", w->id,
			  w->steps, step);
		w->dying = true;
		return EIO;
	}
	bool grows = !strcmp(step, "open") || !strcmp(step, "write") || !strcmp(step, "mkdir");
	return w->disk_full && grows ? ENOSPC : 0;
}

static void on_work(void *arg, bool begins)
{
	struct worker *w = arg;
	at_disk = begins ? w : NULL;
	w->in_work = begins;
	w->kill_at = w->steps = 0;
	if (begins && !w->dying && !w->sim->healed &&
	    sim_one_in(w->sim, w->sim->profile.kill_one_in))
		w->kill_at = (unsigned)sim_between(w->sim, 1, 9);
}

static uint64_t pool_delay(void *arg)
{
	struct worker *w = arg;
	return sim_one_in(w->sim, 30) ? sim_between(w->sim, 50, 1500) : sim_between(w->sim, 0, 12);
}

/* ---- the engine ---- */

static struct fate *fate_of(struct worker *w, const char *job_id)
{
	struct expect *x = sim_expect(w->sim, job_id);
	return x ? &w->fates[x->no] : NULL;
}

static uint64_t duration(void *arg, const struct engine_job *job)
{
	struct worker *w = arg;
	(void)job;
	return sim_one_in(w->sim, 8) ? sim_between(w->sim, 5000, 40000)
				     : sim_between(w->sim, 5, 4000);
}

static bool fails(void *arg, const struct engine_job *job, bool *retryable)
{
	struct worker *w = arg;
	(void)job;
	*retryable = !sim_one_in(w->sim, 4);
	return sim_between(w->sim, 1, 100) <= w->sim->profile.fail_percent;
}

static void started(void *arg, const struct engine_job *job)
{
	struct worker *w = arg;
	struct expect *x = sim_expect(w->sim, job->job_id);
	if (!x) {
		sim_violation(w->sim, "unknown", "%s runs a job nobody submitted", w->id);
		return;
	}
	sim_trace(w->sim, "%s      engine starts job %u", w->id, x->no);
	struct fate *f = &w->fates[x->no];
	if (f->running)
		sim_violation(w->sim, "twice", "%s starts job %u while it runs there", w->id,
			      x->no);
	if (f->kept)
		sim_violation(w->sim, "twice", "%s starts job %u, whose result waits there", w->id,
			      x->no);
	f->running = true;
	f->status = 0;
}

static void ended(void *arg, const char *job_id, bool ok)
{
	struct worker *w = arg;
	struct fate *f = fate_of(w, job_id);
	if (!f)
		return;
	sim_trace(w->sim, "%s      engine ends job %ld %s", w->id, (long)(f - w->fates),
		  ok ? "well" : "with an error");
	f->running = false;
}

/* ---- events ---- */

static bool ended_in_storage(const struct expect *x)
{
	return x->state == 3 || x->state == 4; /* done, failed */
}

static bool refused_for_good(const struct fate *f)
{
	return f->status >= 400 && f->status < 500 && f->status != 409 && f->status != 401 &&
	       f->status != 408 && f->status != 429;
}

static void result_left(struct worker *w, struct expect *x, bool delivered, const char *detail)
{
	struct fate *f = &w->fates[x->no];
	uint64_t age = clock_now(&w->sim->clock) - f->kept_ms;
	check_storage(w->sim);
	if (delivered && x->state != 3 && !(x->cancelled && x->state == 4))
		sim_violation(w->sim, "delivered",
			      "%s drops the result of job %u as delivered, the studio has none",
			      w->id, x->no);
	if (!delivered && f->kept && !ended_in_storage(x) && !refused_for_good(f) && age < KEPT_MS)
		sim_violation(w->sim, "kept",
			      "%s drops the result of job %u (%s) though it is still wanted", w->id,
			      x->no, detail ? detail : "");
	f->kept = false;
}

static void on_job_event(struct worker *w, const struct event *e)
{
	struct expect *x = sim_expect(w->sim, e->job_id);
	if (!x)
		return;
	sim_trace(w->sim, "%s      job %u: %s", w->id, x->no, e->state);
	if (!strcmp(e->state, "finished") && !w->fates[x->no].kept)
		w->writing = x->no + 1;
	else if (!strcmp(e->state, "delivered"))
		result_left(w, x, true, e->detail);
	else if (!strcmp(e->state, "failed"))
		result_left(w, x, false, e->detail);
}

static void on_outbox_event(struct worker *w, uint64_t count)
{
	if (w->writing && count > w->outbox) {
		struct fate *f = &w->fates[w->writing - 1];
		f->kept = true;
		f->kept_ms = clock_now(&w->sim->clock);
		w->writing = 0;
	}
	w->outbox = count;
}

static void on_event(struct observer *o, const struct event *e)
{
	struct worker *w = container_of(o, struct worker, observer);
	if (e->type == EVENT_JOB)
		on_job_event(w, e);
	else if (e->type == EVENT_OUTBOX)
		on_outbox_event(w, e->count);
	else if (e->type == EVENT_SESSION)
		sim_trace(w->sim, "%s      session: %s", w->id, e->state);
}

static void on_log(struct log_sink *sink, const struct log_entry *e)
{
	struct worker *w = container_of(sink, struct worker, sink);
	sim_trace_log(w->sim, w->id, e);
}

/* ---- life ---- */

static struct capabilities *snapshot(void *arg)
{
	struct worker *w = arg;
	return advert_snapshot(&w->advert);
}

static void on_restart(void *arg)
{
	worker_start(arg);
}

static void on_ended(void *arg, enum session_outcome outcome)
{
	struct worker *w = arg;
	if (!w->stopping || outcome != SESSION_STOPPED)
		sim_violation(w->sim, "session", "%s: the session ended for good (%d)", w->id,
			      (int)outcome);
	w->dying = true; /* taken down after this event */
}

static void make_rooms(struct worker *w)
{
	struct sim *s = w->sim;
	log_init(&w->log, &s->clock);
	w->sink.write = on_log;
	log_add_sink(&w->log, &w->sink);
	w->ship = ship_new(&w->log);
	events_init(&w->events);
	w->observer.event = on_event;
	events_subscribe(&w->events, &w->observer);
	fake_pool_init(&w->pool, &s->clock);
	w->pool.delay = pool_delay;
	w->pool.running = on_work;
	w->pool.arg = w;
	fake_lab_init(&w->lab, &s->clock, &w->log, &w->pool.pool);
	w->lab.duration = duration;
	w->lab.fails = fails;
	w->lab.started = started;
	w->lab.ended = ended;
	w->lab.arg = w;
	w->lab.cancel_ms = 300;
	w->engines = engines_new_from(&w->lab.env, fake_engine_table);
	w->device = device_new_fixed(24, PRESENCE_IDLE);
}

static void load_config(struct worker *w)
{
	struct err e = ERR_INIT;
	if (config_load(&w->config, w->config_path, &w->log, &e))
		sim_violation(w->sim, "setup", "%s", e.text);
	w->identity.install_id = xstrdup(w->id);
	w->identity.worker_id = xstrdup(w->id);
	secret_copy(&w->identity.auth_token, &w->token);
}

/* Whatever was durable must be back. */
static void check_outbox(struct worker *w)
{
	size_t must = 0;
	for (unsigned i = 0; i < w->sim->profile.jobs; i++) {
		w->fates[i].running = false;
		must += w->fates[i].kept;
	}
	if (jobs_outbox_len(w->jobs) < must)
		sim_violation(w->sim, "kept", "%s restarts with %zu kept results of %zu", w->id,
			      jobs_outbox_len(w->jobs), must);
}

void worker_start(struct worker *w)
{
	struct sim *s = w->sim;
	struct err e = ERR_INIT;
	sim_trace(s, "%s      starts", w->id);
	timer_stop(&w->restart);
	w->writing = 0;
	make_rooms(w);
	load_config(w);
	struct jobs_deps jd = {
	    .clock = &s->clock,
	    .log = &w->log,
	    .pool = &w->pool.pool,
	    .transport = &w->client->transport,
	    .events = &w->events,
	    .engines = w->engines,
	    .state_dir = w->config.state_dir,
	};
	w->jobs = jobs_new(&jd, &e);
	check_outbox(w);
	w->outbox = jobs_outbox_len(w->jobs);
	w->advert = (struct advert_deps){&w->config, w->engines, w->device, w->jobs, &w->log};
	struct session_deps sd = {
	    .clock = &s->clock,
	    .log = &w->log,
	    .transport = &w->client->transport,
	    .events = &w->events,
	    .jobs = w->jobs,
	    .ship = w->ship,
	    .config = &w->config,
	    .identity = &w->identity,
	    .capabilities = snapshot,
	    .capabilities_arg = w,
	    .ended = on_ended,
	    .ended_arg = w,
	};
	w->session = session_new(&sd);
	w->up = true;
	session_start(w->session);
}

/* The dead don't write: every step on the disk fails from here on. What is left only frees memory.
 */
static void take_down(struct worker *w)
{
	w->up = false;
	w->dying = true;
	events_unsubscribe(&w->events, &w->observer);
	log_remove_sink(&w->log, &w->sink);
	fake_client_crash(w->client);
	at_disk = w;
	session_free(w->session);
	jobs_free(w->jobs);
	fake_lab_stop(&w->lab);
	at_disk = w;
	fake_pool_drain(&w->pool);
	at_disk = NULL;
	ship_free(w->ship);
	engines_free(w->engines);
	device_free(w->device);
	identity_fini(&w->identity);
	config_fini(&w->config);
	w->dying = w->stopping = false;
}

void worker_crash(struct worker *w, uint64_t back_ms)
{
	if (!w->up)
		return;
	sim_trace(w->sim, "%s      CRASHES, back in %llu ms", w->id, (unsigned long long)back_ms);
	take_down(w);
	timer_start(&w->restart, &w->sim->clock, back_ms, on_restart, w);
}

void worker_leave(struct worker *w)
{
	sim_trace(w->sim, "%s      LEAVES for good", w->id);
	w->gone = true;
	if (w->up)
		take_down(w);
	timer_stop(&w->restart);
}

void worker_bury(struct worker *w)
{
	if (w->up && w->dying)
		worker_crash(w, w->stopping ? w->back_ms : sim_between(w->sim, 20, 20000));
}

void worker_stop(struct worker *w, uint64_t back_ms)
{
	if (!w->up || w->stopping)
		return;
	sim_trace(w->sim, "%s      is told to stop", w->id);
	w->stopping = true;
	w->back_ms = back_ms;
	session_stop(w->session);
}

struct worker *worker_new(struct sim *s, unsigned no)
{
	struct worker *w = xcalloc(1, sizeof *w);
	struct err e = ERR_INIT;
	char hex[33];
	w->sim = s;
	w->no = no;
	fs_fault = fault;
	snprintf(w->id, sizeof w->id, "w%u", no + 1);
	rng_hex(&s->rng, hex, 16);
	secret_set(&w->token, hex);
	w->extensions = !s->profile.plain && !sim_one_in(s, 4);
	w->told.enabled = true;
	w->dir = fs_join(s->root, w->id);
	w->config_path = fs_join(w->dir, "config.toml");
	static const char text[] = "api_base_url = \"http://studio.sim/\"\n"
				   "ws_reconnect_attempts = 0\n";
	if (fs_mkdirs(w->dir, 0700, &e) ||
	    fs_write_atomic(w->config_path, text, sizeof text - 1, 0600, &e))
		sim_violation(s, "setup", "%s", e.text);
	w->client = fake_client_new(&s->net);
	w->client->owner = w;
	studio_admit(s->studio, w->id, &w->token);
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	if (w->up)
		take_down(w);
	timer_stop(&w->restart);
	fake_client_free(w->client);
	secret_clear(&w->token);
	free(w->dir);
	free(w->config_path);
	free(w);
}

/* ---- what others ask and tell ---- */

void worker_pause(struct worker *w, bool paused)
{
	if (w->up)
		jobs_pause(w->jobs, paused);
}

void worker_disk_full(struct worker *w, bool full)
{
	w->disk_full = full;
}

void worker_heal(struct worker *w)
{
	w->disk_full = false;
	w->client->mute = w->client->deaf = false;
	worker_pause(w, false);
	if (!w->up && !w->gone)
		worker_start(w);
}

bool worker_up(const struct worker *w)
{
	return w->up;
}

bool worker_gone(const struct worker *w)
{
	return w->gone;
}

bool worker_serving(const struct worker *w)
{
	return w->up && session_state(w->session) == SESSION_SERVING;
}

size_t worker_outbox(const struct worker *w)
{
	return w->up ? jobs_outbox_len(w->jobs) : !w->gone;
}

const char *worker_id(const struct worker *w)
{
	return w->id;
}

struct fake_client *worker_client(struct worker *w)
{
	return w->client;
}

bool worker_knows_extensions(const struct worker *w)
{
	return w->extensions;
}

struct told *worker_told(struct worker *w)
{
	return &w->told;
}

void worker_answered(struct worker *w, const struct expect *x, int status)
{
	struct fate *f = &w->fates[x->no];
	f->status = status;
}
