/* served.c - see served.h. Everything that ends a try is noted first and done by the timer `next`,
 * so that nothing is called back from inside a call. SPDX-License-Identifier: MIT */
#include "worker/host/served.h"

#include <errno.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/loop/output.h"
#include "worker/host/internal.h"

#define TRIES 2
#define BREAK_MS                                                                                   \
	100 /* a broken connection is often the first sign of an exit, whose cause is better */

struct served {
	struct host *host;
	struct clock *clock;
	struct log *log;
	struct spec_copy warm;
	char *job_id;
	uint64_t silence_ms, total_ms;
	struct served_ops ops;
	void *arg;
	struct lease *lease;
	struct output output;
	struct timer silence, total, next;
	unsigned tries;
	bool asking, cancelled;
	bool broken;	/* this try's server misbehaved: it goes, whoever cancels meanwhile */
	bool kill;	/* the cancellation can't be had otherwise */
	struct err why; /* for which the try ends */
	bool retryable, add_line;
};

static void begin(struct served *s);

static void served_free(struct served *s)
{
	timer_stop(&s->silence);
	timer_stop(&s->total);
	timer_stop(&s->next);
	spec_fini(&s->warm);
	free(s->job_id);
	free(s);
}

static void fail(struct served *s)
{
	struct served_ops ops = s->ops;
	struct err why = s->why;
	void *arg = s->arg;
	bool retryable = s->retryable;
	served_free(s);
	ops.failed(arg, &why, retryable);
}

/* With what the engine said, which is often nearer to the cause. */
static void add_error_line(struct served *s, struct err *e)
{
	const char *line = s->lease ? lease_error_line(s->lease) : "";
	struct err first = *e;
	if (line[0])
		err_set(e, first.code, "%s: %s", first.text, line);
}

/* What others hold of the memory they hold a moment later too: not worth a try at once. */
static bool over_for_good(const struct served *s)
{
	return s->cancelled || !s->retryable || s->tries == TRIES || s->why.code == ECANCELED ||
	       s->why.code == ENOMEM;
}

/* The try is over: the lease goes, and with it the server or not. */
static void conclude(void *arg)
{
	struct served *s = arg;
	timer_stop(&s->silence);
	timer_stop(&s->total);
	bool asked = s->asking;
	s->asking = false;
	if (asked && s->ops.abandon)
		s->ops.abandon(s->arg);
	if (s->add_line)
		add_error_line(s, &s->why);
	s->add_line = false;
	lease_end(steal(&s->lease), s->broken || s->kill ? LEASE_BROKEN : LEASE_GOOD);
	if (s->cancelled)
		err_set(&s->why, ECANCELED, "cancelled");
	if (over_for_good(s)) {
		s->retryable = s->retryable && !s->cancelled;
		fail(s);
		return;
	}
	log_warn(s->log, "engine", s->job_id, "%s; trying once more on a fresh engine",
		 s->why.text);
	begin(s);
}

/* By the driver or a deadline. */
static void end_try(struct served *s, uint64_t after_ms, const struct err *why)
{
	s->broken = true;
	s->why = *why;
	s->retryable = s->add_line = true;
	timer_stop(&s->silence);
	timer_stop(&s->total);
	timer_start(&s->next, s->clock, after_ms, conclude, s);
}

/* ---- what ends a try ---- */

static void silent(void *arg)
{
	struct served *s = arg;
	struct err e = ERR_INIT;
	char time[32];
	time_format_duration(s->silence_ms, time);
	err_set(&e, ETIMEDOUT, "%s gave no sign of life for %s", s->warm.s.engine, time);
	end_try(s, 0, &e);
}

static void overdue(void *arg)
{
	struct served *s = arg;
	struct err e = ERR_INIT;
	char time[32];
	time_format_duration(s->total_ms, time);
	err_set(&e, ETIMEDOUT, "%s was not done after %s", s->warm.s.engine, time);
	end_try(s, 0, &e);
}

void served_broken(struct served *s, const struct err *why)
{
	if (!timer_running(&s->next))
		end_try(s, BREAK_MS, why);
}

void served_cancel(struct served *s, bool kill)
{
	s->cancelled = true;
	s->kill = s->kill || kill;
	timer_start(&s->next, s->clock, 0, conclude, s);
}

static void not_dropped(void *arg)
{
	struct served *s = arg;
	s->kill = true;
	conclude(s);
}

void served_cancel_within(struct served *s, uint64_t ms)
{
	s->cancelled = true;
	/* The try ends already. */
	if (timer_running(&s->next))
		return;
	timer_stop(&s->silence);
	timer_stop(&s->total);
	timer_start(&s->next, s->clock, ms, not_dropped, s);
}

/* ---- the lease ---- */

static void on_loading(void *arg, double fraction)
{
	struct served *s = arg;
	if (s->ops.loading)
		s->ops.loading(s->arg, fraction);
}

static void on_ready(void *arg, const struct warm *w)
{
	struct served *s = arg;
	/* Cancelled in this very turn. */
	if (timer_running(&s->next))
		return;
	s->asking = true;
	if (s->total_ms)
		timer_start(&s->total, s->clock, s->total_ms, overdue, s);
	served_alive(s);
	s->ops.ask(s->arg, w);
}

static void on_line(void *arg, int fd, const char *line)
{
	struct served *s = arg;
	output_line(&s->output, line);
	if (s->ops.line)
		s->ops.line(s->arg, fd, line);
}

static void on_died(void *arg, const struct err *err, bool retryable)
{
	struct served *s = arg;
	s->lease = NULL;
	s->why = *err;
	s->retryable = retryable;
	s->add_line = false;
	timer_start(&s->next, s->clock, 0, conclude, s);
}

static void begin(struct served *s)
{
	static const struct lease_events events = {
	    .loading = on_loading, .ready = on_ready, .line = on_line, .died = on_died};
	s->tries++;
	s->broken = false;
	s->lease = host_lease(s->host, &s->warm.s, &events, s);
}

struct served *served_start(struct host *h, struct clock *clock, struct log *log,
			    const struct served_spec *spec, const struct served_ops *ops, void *arg)
{
	struct served *s = xcalloc(1, sizeof *s);
	s->host = h;
	s->clock = clock;
	s->log = log;
	s->job_id = xstrdup(spec->job_id);
	s->silence_ms = host_deadline(h, spec->silence_ms);
	s->total_ms = host_deadline(h, spec->total_ms);
	s->ops = *ops;
	s->arg = arg;
	spec_copy(&s->warm, &spec->warm);
	s->output = (struct output){.log = log, .job_id = s->job_id, .program = s->warm.s.engine};
	begin(s);
	return s;
}

void served_alive(struct served *s)
{
	if (s->silence_ms && s->asking && !s->cancelled)
		timer_start(&s->silence, s->clock, s->silence_ms, silent, s);
}

void served_good(struct served *s)
{
	lease_end(steal(&s->lease), LEASE_GOOD);
	served_free(s);
}

void served_refused(struct served *s)
{
	served_good(s);
}
