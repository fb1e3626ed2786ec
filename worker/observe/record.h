/* record.h - one job as the history keeps it, and its JSON.
 * SPDX-License-Identifier: MIT */
#ifndef OBSERVE_RECORD_H
#define OBSERVE_RECORD_H

#include <jansson.h>

#include "worker/observe/events.h"

struct record {
	struct list_node node;
	char *job_id, *kind, *model, *engine, *state, *error;
	int64_t started_ms, updated_ms;
	bool has_progress;
	enum stage stage;
	double fraction;
	char *detail;
};

void record_free(struct record *r);
/* Takes over what the event says; what it leaves out stays. */
void record_update(struct record *r, const struct event *e);
bool record_in_slot(const struct record *r); /* it is being worked on */
bool state_ended(const char *state);	     /* delivered or failed */

json_t *record_to_json(const struct record *r);
json_t *record_to_json_live(const struct record *r); /* with its progress; null for NULL */
/* NULL when it is none. What ran when the program ended comes back as "interrupted": the studio
 * will offer it again. */
struct record *record_from_json(json_t *o);

/* ---- for what stands beside the records ---- */
void record_set_time(json_t *o, const char *key, int64_t ms); /* 0: nothing */
void text_replace_short(char **dst, const char *s); /* cut at a character's end, made UTF-8 */

#endif
