/* status.c - see status.h.
 * SPDX-License-Identifier: MIT */
#include "worker/api/status.h"

#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "lib/wire/fields.h"
#include "worker/job/outbox.h"
#include "worker/registration/registration.h"

static void add_common(json_t *o, const struct config *c, const struct identity *id, bool running)
{
	json_object_set_new(o, "running", json_boolean(running));
	json_set_text(o, "version", PROGRAM_VERSION);
	json_set_text(o, "configPath", c->path);
	json_set_text(o, "apiBaseUrl", c->options.api_base_url);
	json_object_set_new(o, "vramThresholdGb", json_real(c->options.vram_threshold_gb));
	json_set_text(o, "workerId", id->worker_id);
}

json_t *status_live(const struct status_deps *d)
{
	char started[TIME_TEXT_LEN];
	json_t *o = history_status(d->history);
	add_common(o, d->config, d->identity, true);
	time_format(d->started_ms, started);
	json_set_text(o, "startedAt", started);
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "paused", json_boolean(jobs_paused(d->jobs)));
	json_object_set_new(o, "outbox", json_integer((json_int_t)jobs_outbox_len(d->jobs)));
	json_object_set_new(o, "models", store_status(d->store));
	json_object_set_new(o, "warmEngines", host_status(d->host));
	return o;
}

static json_t *registration_on_disk(const struct identity *id)
{
	json_t *o = json_object();
	json_set_text(o, "state", registration_state_name(registration_state_of(id)));
	const char *detail = id->rejected_reason ? id->rejected_reason : id->request_id;
	auto_free char *safe = xstrdup_opt(identity_approved(id) ? id->worker_id : detail);
	if (safe)
		utf8_clean(safe); /* as the history does: it comes from a studio */
	json_set_text(o, "detail", safe);
	return o;
}

/* A history that no event ever reaches: it reads its file and nothing else. */
static json_t *history_on_disk(const char *state_dir)
{
	struct clock clock;
	struct events events;
	clock_init(&clock);
	events_init(&events);
	struct history *h = history_new(&clock, NULL, &events, state_dir);
	json_t *o = history_status(h);
	history_free(h);
	clock_fini(&clock);
	return o;
}

/* What the live object holds of the last run, moved to `to`. */
static void keep_error(json_t *to, const json_t *from)
{
	json_t *error = json_object_get(from, "lastError");
	if (error)
		json_object_set(to, "lastError", error);
}

/* The last run's errors are about an identity; `register --reset` may have changed it since. */
static void add_states(json_t *o, const struct identity *id)
{
	json_t *registration = registration_on_disk(id);
	json_t *session = json_pack("{s:s}", "state", "stopped");
	enum registration_state state = registration_state_of(id);
	if (state == REGISTRATION_APPROVED)
		keep_error(session, json_object_get(o, "session"));
	else if (state != REGISTRATION_REJECTED)
		keep_error(registration, json_object_get(o, "registration"));
	json_object_set_new(o, "registration", registration);
	json_object_set_new(o, "session", session);
}

json_t *status_from_disk(const struct config *c, const struct identity *id)
{
	json_t *o = history_on_disk(c->state_dir);
	add_common(o, c, id, false);
	add_states(o, id);
	json_object_set_new(o, "outbox", json_integer((json_int_t)outbox_count(c->state_dir)));
	return o;
}
