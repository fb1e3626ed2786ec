/* job_json.h - a job between JSON and its record: what an operator sends, what is shown.
 * SPDX-License-Identifier: MIT */
#ifndef API_JOB_JSON_H
#define API_JOB_JSON_H

#include <jansson.h>

#include "studio/storage/storage.h"

/* Summary for lists; `full` adds task, modelSource, result and prompt. New reference. */
json_t *job_encode(const struct job_record *j, bool full);

/* {model, task, gameId?, assetName?, vramGbEstimate?, modelSource?} checked against the model
 * (NULL: not registered). -EINVAL names the field; -ENOENT: the model is unknown and no modelSource
 * was given. Fini with job_record_fini. */
int job_decode(json_t *json, const struct model_record *model, struct job_record *out,
	       struct err *e) MUST_CHECK;
/* The model's id; checks the outer fields as far as they need no model. NULL with e filled. Lives
 * as long as json. */
const char *job_decode_model(json_t *json, struct err *e) MUST_CHECK;

#endif
