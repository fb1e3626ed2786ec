/* job_json.c - a job between JSON and its record: what an operator sends, what is shown.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/kind.h"
#include "lib/wire/task.h"
#include "studio/api/call.h"
#include "studio/api/job_json.h"
#include "studio/registry/models.h"

#define LABEL_MAX 500 /* bytes of gameId, assetName */

static const char *const job_fields[] = {"model",	   "task",	  "gameId", "assetName",
					 "vramGbEstimate", "modelSource", NULL};

static const char *result_type(const struct job_record *j)
{
	if (j->state != JOB_DONE)
		return NULL;
	return j->blob ? "file" : "json";
}

static void encode_result(json_t *o, const struct job_record *j)
{
	json_set_text(o, "resultType", result_type(j));
	if (!j->blob)
		return;
	json_set_text(o, "ext", j->ext);
	json_set_text(o, "sha256", j->sha256);
	json_object_set_new(o, "bytes", json_integer(j->bytes));
}

/* Milliseconds it waited for a worker and ran there, as far as it got. */
static void encode_history(json_t *o, const struct job_record *j)
{
	set_time(o, "createdAt", j->created_ms);
	set_time(o, "claimedAt", j->claimed_ms);
	set_time(o, "finishedAt", j->finished_ms);
	if (j->claimed_ms)
		json_object_set_new(o, "waitedMs", json_integer(j->claimed_ms - j->created_ms));
	if (j->claimed_ms && j->finished_ms)
		json_object_set_new(o, "ranMs", json_integer(j->finished_ms - j->claimed_ms));
}

static void encode_full(json_t *o, const struct job_record *j)
{
	if (j->task)
		json_object_set_new(o, "task", json_deep_copy(j->task));
	if (j->source)
		json_object_set_new(o, "modelSource", json_deep_copy(j->source));
	if (j->result)
		json_object_set_new(o, "result", json_deep_copy(j->result));
	json_set_text(o, "prompt", j->prompt);
}

json_t *job_encode(const struct job_record *j, bool full)
{
	json_t *o = json_object();

	json_set_text(o, "id", j->id);
	json_set_text(o, "state", job_state_name(j->state));
	json_set_text(o, "kind", j->kind);
	json_set_text(o, "model", j->model);
	json_set_text(o, "gameId", j->game_id);
	json_set_text(o, "assetName", j->asset_name);
	json_object_set_new(o, "vramGbEstimate", json_real(j->vram_gb_estimate));
	json_object_set_new(o, "attempts", json_integer(j->attempts));
	json_set_text(o, "workerId", j->worker_id);
	json_set_text(o, "error", j->error);
	encode_result(o, j);
	encode_history(o, j);
	if (full)
		encode_full(o, j);
	return o;
}

static json_t *given(json_t *json, const char *key)
{
	json_t *value = json_object_get(json, key);

	return json_is_null(value) ? NULL : value;
}

const char *job_decode_model(json_t *json, struct err *e)
{
	json_t *model;

	if (json_known_fields(json, job_fields, e) < 0)
		return NULL;
	model = given(json, "model");
	if (!model || !json_is_string(model) || !model_id_valid(json_string_value(model))) {
		err_set(e, EINVAL, "model: is required, the id of a model");
		return NULL;
	}
	return json_string_value(model);
}

static int decode_label(json_t *json, const char *key, const char *fallback, char **out,
			struct err *e)
{
	json_t *value = given(json, key);

	if (value && (!json_is_string(value) || json_string_length(value) > LABEL_MAX))
		return err_set(e, EINVAL, "%s: must be a text of at most %d bytes", key, LABEL_MAX);
	*out = xstrdup(value ? json_string_value(value) : fallback);
	return 0;
}

/* A copy of the task with the kind and the defaults of the model where it has none. */
static int merge_task(json_t *json, const struct model_record *model, json_t **out, struct err *e)
{
	json_t *task = given(json, "task");

	if (!task || !json_is_object(task))
		return err_set(e, EINVAL, "task: is required, an object with a kind");
	task = json_deep_copy(task);
	if (model && !given(task, "kind"))
		json_object_set_new(task, "kind", json_string(model->kind));
	if (model && model->defaults)
		json_object_update_missing(task, model->defaults);
	*out = task;
	return 0;
}

static int check_task(const struct task *t, const struct model_record *model, struct err *e)
{
	if (!t->known)
		return err_set(e, EINVAL,
			       "task.kind: must be one of image, llm, audio_stt, audio_tts, video");
	if (model && strcmp(model->kind, kind_name(t->kind)) != 0)
		return err_set(e, EINVAL, "task.kind: model %s makes %s, not %s", model->id,
			       model->kind, kind_name(t->kind));
	return task_validate(t, e);
}

static int name_field(struct err *e)
{
	struct err inner = *e;

	if (strncmp(inner.text, "task", 4) == 0)
		return err_set(e, EINVAL, "%s", inner.text);
	return err_set(e, EINVAL, "task.%s", inner.text);
}

static int decode_task(json_t *json, const struct model_record *model, struct job_record *j,
		       struct err *e)
{
	struct task *task = NULL;
	int rc = merge_task(json, model, &j->task, e);

	if (rc < 0)
		return rc;
	if (task_decode(j->task, &task, e) < 0)
		return name_field(e);
	rc = check_task(task, model, e);
	j->kind = xstrdup(task->known ? kind_name(task->kind) : "");
	task_free(task);
	return rc < 0 ? name_field(e) : 0;
}

static int decode_source(json_t *json, const struct model_record *model, struct job_record *j,
			 struct err *e)
{
	json_t *source = given(json, "modelSource");

	if (source) {
		if (source_check(source, e) < 0)
			return -EINVAL;
		j->source = json_deep_copy(source);
		return 0;
	}
	if (!model)
		return err_set(
		    e, ENOENT,
		    "model: no model has this id; register it, or send modelSource with the job");
	if (!model->enabled)
		return err_set(e, EINVAL, "model: %s is disabled", model->id);
	j->source = json_deep_copy(model->source);
	return 0;
}

static int decode_job(json_t *json, const struct model_record *model, struct job_record *j,
		      struct err *e)
{
	const char *id = job_decode_model(json, e);
	json_t *vram = given(json, "vramGbEstimate");
	int rc;

	if (!id)
		return -EINVAL;
	j->model = xstrdup(id);
	if ((rc = decode_source(json, model, j, e)) < 0 ||
	    (rc = decode_task(json, model, j, e)) < 0 ||
	    (rc = decode_label(json, "gameId", "default", &j->game_id, e)) < 0 ||
	    (rc = decode_label(json, "assetName", id, &j->asset_name, e)) < 0)
		return rc;
	j->vram_gb_estimate = model ? model->vram_gb_estimate : 0;
	return vram ? vram_decode(vram, &j->vram_gb_estimate, e) : 0;
}

int job_decode(json_t *json, const struct model_record *model, struct job_record *out,
	       struct err *e)
{
	struct job_record j = {.state = JOB_QUEUED};
	int rc = decode_job(json, model, &j, e);

	if (rc < 0) {
		job_record_fini(&j);
		return rc;
	}
	*out = j;
	return 0;
}
