/* screen.c - see screen.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/screen.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "worker/cli/screen_engines.h"
#include "worker/cli/wrap.h"

#define RECENT	  10
#define BAR_WIDTH 20
#define LABEL	  13

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* A studio's text must not drive the terminal. */
static char *clean(const char *s)
{
	char *copy = xstrdup(s);
	utf8_clean(copy);
	return copy;
}

static void row(FILE *out, const char *label, const char *value)
{
	auto_free char *safe = clean(value);
	fprintf(out, "%-*s %s\n", LABEL, label, safe);
}

static void paragraph(FILE *out, const char *label, const char *value)
{
	wrap_print(out, label, LABEL, value);
}

/* "12 s", "3 min 05 s"; "" when there is no such time. */
static char *age(const json_t *o, const char *key, int64_t now_ms)
{
	int64_t at;
	char buf[32];
	if (!time_parse(text(o, key), &at))
		return xstrdup("");
	int64_t ms = now_ms > at ? now_ms - at : 0;
	if (ms < 60000)
		return xasprintf("%d s", (int)(ms / 1000));
	time_format_duration((uint64_t)ms, buf);
	return xstrdup(buf);
}

/* Why it does not work, and what to do about it. */
static void print_error(FILE *out, const json_t *of, int64_t now_ms)
{
	const json_t *error = json_object_get(of, "lastError");
	if (!error)
		return;
	const char *remedy = text(error, "remedy");
	auto_free char *since = age(error, "at", now_ms);
	auto_free char *line = xasprintf("%s (%s ago)", text(error, "text"), since);
	paragraph(out, "  last error", line);
	if (remedy[0])
		paragraph(out, "  to do", remedy);
}

static void print_registration(FILE *out, const json_t *o, bool running, int64_t now_ms)
{
	const char *state = text(o, "state"), *detail = text(o, "detail");
	auto_free char *line = NULL;
	if (strcmp(state, "approved") == 0)
		line = xasprintf("approved, worker %s", detail);
	else if (strcmp(state, "rejected") == 0)
		line = xasprintf("rejected: %s\n%-13s `studio-worker register --reset` asks anew",
				 detail, "");
	else if (strcmp(state, "pending") == 0)
		line = xasprintf("request %s waits for approval by the studio's operator", detail);
	else
		line = xasprintf("not registered yet; %s the studio",
				 running ? "the daemon asks" : "`studio-worker run` asks");
	char *second = strchr(line, '\n');
	if (second)
		*second++ = '\0';
	row(out, "registration", line);
	if (second)
		fprintf(out, "%s\n", second);
	print_error(out, o, now_ms);
}

/* The names of the protocol's machine, for people. */
static const char *session_text(const char *state)
{
	static const char *const texts[][2] = {
	    {"waiting", "waits for the registration"},
	    {"greeting", "connecting"},
	    {"backing_off", "not connected, tries again"},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(state, texts[i][0]) == 0)
			return texts[i][1];
	return state;
}

static void print_session(FILE *out, const json_t *o, int64_t now_ms)
{
	auto_free char *since = age(o, "since", now_ms);
	auto_free char *beat = age(o, "lastHeartbeat", now_ms);
	bool serving = strcmp(text(o, "state"), "serving") == 0 && beat[0];
	auto_free char *line =
	    xasprintf("%s%s%s%s%s%s%s", session_text(text(o, "state")), since[0] ? " (" : "", since,
		      since[0] ? ")" : "", serving ? ", last heartbeat " : "", serving ? beat : "",
		      serving ? " ago" : "");
	row(out, "session", line);
}

static char *bar(double fraction)
{
	char cells[BAR_WIDTH + 1];
	size_t full = (size_t)((fraction > 1 ? 1 : fraction) * BAR_WIDTH);
	memset(cells, '.', BAR_WIDTH);
	memset(cells, '#', full);
	cells[BAR_WIDTH] = '\0';
	return xasprintf(" [%s] %.0f %%", cells, (fraction > 1 ? 1 : fraction) * 100);
}

static void print_current(FILE *out, const json_t *job, int64_t now_ms)
{
	if (!json_is_object(job)) {
		row(out, "current job", "none");
		return;
	}
	const json_t *fraction = json_object_get(job, "fraction");
	auto_free char *progress = fraction ? bar(json_number_value(fraction)) : xstrdup("");
	auto_free char *since = age(job, "startedAt", now_ms);
	const char *stage = text(job, "stage");
	auto_free char *what =
	    xasprintf("%s  %s  %s", text(job, "jobId"), text(job, "kind"), text(job, "model"));
	auto_free char *how =
	    xasprintf("%s%s  for %s", stage[0] ? stage : text(job, "state"), progress, since);
	paragraph(out, "current job", what);
	row(out, "", how);
}

static void print_outbox(FILE *out, json_int_t n)
{
	auto_free char *line = xasprintf("%" JSON_INTEGER_FORMAT " result%s to deliver", n,
					 n == 1 ? " waits" : "s wait");
	row(out, "outbox", n ? line : "empty");
}

static void cell(FILE *out, const char *s, int width)
{
	auto_free char *safe = clean(s);
	if ((int)strlen(safe) > width)
		memcpy(safe + width - 2, "..", 3);
	fprintf(out, "%-*s  ", width, safe);
}

static void print_job(FILE *out, const json_t *job, int64_t now_ms)
{
	auto_free char *since = age(job, "updatedAt", now_ms);
	auto_free char *error = clean(text(job, "error"));
	cell(out, text(job, "jobId"), 20);
	cell(out, text(job, "kind"), 9);
	cell(out, text(job, "model"), 20);
	cell(out, text(job, "state"), 11);
	fprintf(out, "%s\n", since);
	if (error[0])
		fprintf(out, "    %s\n", error);
}

static void print_jobs(FILE *out, const json_t *jobs, int64_t now_ms)
{
	size_t n = json_array_size(jobs);
	if (n == 0)
		return;
	fprintf(out, "\nrecent jobs (of %zu)\n", n);
	fprintf(out, "%-20s  %-9s  %-20s  %-11s  %s\n", "JOB", "KIND", "MODEL", "STATE", "AGO");
	for (size_t i = 0; i < n && i < RECENT; i++)
		print_job(out, json_array_get(jobs, n - 1 - i), now_ms);
}

void screen_print(FILE *out, const json_t *s, int64_t now_ms)
{
	bool running = json_is_true(json_object_get(s, "running"));
	bool failed = json_object_get(json_object_get(s, "session"), "lastError") != NULL;
	auto_free char *uptime = age(s, "startedAt", now_ms);
	auto_free char *daemon =
	    running ? xasprintf("running, pid %" JSON_INTEGER_FORMAT ", for %s",
				json_integer_value(json_object_get(s, "pid")), uptime)
		    : xstrdup(failed ? "not running; it ended with the error below"
				     : "not running; start it with `studio-worker run`");
	auto_free char *lends =
	    xasprintf("%g GB to one job", json_number_value(json_object_get(s, "vramThresholdGb")));
	row(out, "daemon", daemon);
	row(out, "config", text(s, "configPath"));
	row(out, "studio", text(s, "apiBaseUrl"));
	print_registration(out, json_object_get(s, "registration"), running, now_ms);
	if (running)
		print_session(out, json_object_get(s, "session"), now_ms);
	print_error(out, json_object_get(s, "session"), now_ms);
	if (running) {
		row(out, "claiming",
		    json_is_true(json_object_get(s, "paused"))
			? "paused; `studio-worker resume` accepts offers again"
			: "on");
		print_current(out, json_object_get(s, "currentJob"), now_ms);
	}
	row(out, "lends", lends);
	screen_models(out, json_object_get(s, "models"), LABEL);
	screen_warm(out, json_object_get(s, "warmEngines"), LABEL);
	print_outbox(out, json_integer_value(json_object_get(s, "outbox")));
	print_jobs(out, json_object_get(s, "jobs"), now_ms);
}
