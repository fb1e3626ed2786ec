/* status.c - the hub as others see it.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include "lib/base/time.h"

static json_t *time_json(int64_t ms)
{
	char text[TIME_TEXT_LEN];
	if (!ms)
		return NULL;
	time_format(ms, text);
	return json_string(text);
}

static const char *current_job(const struct seat *seat)
{
	list_each (it, &seat->holds) {
		const struct hold *hold = list_entry(it, struct hold, node);
		if (!hold->finished)
			return hold->job_id;
	}
	return seat->session ? seat->session->current_job : NULL;
}

json_t *hub_worker_status(const struct hub *h, const char *worker_id)
{
	struct seat *seat;
	HASH_FIND_STR(h->seats, worker_id, seat);
	if (!seat)
		return NULL;
	const struct session *s = seat->session;
	const char *job = current_job(seat);
	json_t *o = json_object();
	json_object_set_new(o, "state", json_string(s ? "connected" : "lost"));
	if (job)
		json_object_set_new(o, "currentJob", json_string(job));
	if (!s)
		return o;
	json_object_set_new(o, "since", time_json(s->since_ms));
	if (s->beat_ms)
		json_object_set_new(o, "lastHeartbeat", time_json(s->beat_ms));
	json_object_set_new(o, "features", features_encode(s->features));
	json_object_set_new(o, "capabilities", capabilities_encode(s->capabilities));
	return o;
}

json_t *hub_job_progress(const struct hub *h, const char *job_id)
{
	struct hold *hold;
	HASH_FIND_STR(h->holds, job_id, hold);
	if (!hold || !hold->has_progress)
		return NULL;
	json_t *o = json_object();
	json_object_set_new(o, "stage", json_string(stage_name(hold->stage)));
	if (hold->fraction >= 0)
		json_object_set_new(o, "fraction", json_real(hold->fraction));
	if (hold->detail)
		json_object_set_new(o, "detail", json_string(hold->detail));
	json_object_set_new(o, "at", time_json(hold->progress_ms));
	return o;
}
