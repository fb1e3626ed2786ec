/* fuzz_job_json.c - what an operator's program may send to the front door: jobs, with and without a
 * registered model, and models. What is accepted can be shown. SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "lib/wire/frame.h"
#include "studio/api/job_json.h"
#include "studio/registry/models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(const struct err *e)
{
	if (!e->code || !e->text[0])
		__builtin_trap();
}

static void try_job(json_t *json, const struct model_record *model)
{
	struct job_record job;
	struct err e = ERR_INIT;
	if (job_decode(json, model, &job, &e) < 0) {
		told(&e);
		return;
	}
	if (!job.model || !job.kind || !job.task || !job.source)
		__builtin_trap();
	json_decref(job_encode(&job, true));
	job_record_fini(&job);
}

static void try_model(json_t *json)
{
	struct model_record m;
	struct err e = ERR_INIT;
	if (model_decode("m", json, &m, &e) < 0) {
		told(&e);
		return;
	}
	json_decref(model_encode(&m));
	model_record_fini(&m);
}

static void try_known(json_t *json)
{
	static const char text[] =
	    "{\"kind\":\"image\",\"vramGbEstimate\":6,\"defaults\":{\"width\":256},"
	    "\"modelSource\":{\"engine\":\"synthetic\",\"files\":[],\"cliDefaults\":{}}}";
	struct model_record m;
	struct err e = ERR_INIT;
	json_t *model = json_parse(text, sizeof(text) - 1, &e);
	if (!model || model_decode("m", model, &m, &e) < 0)
		__builtin_trap();
	json_decref(model);
	try_job(json, &m);
	model_record_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	json_t *json = json_parse((const char *)data, size, &e);
	if (!json)
		return 0;
	if (json_is_object(json)) { /* request_json() lets nothing else through */
		try_job(json, NULL);
		try_known(json);
		try_model(json);
	}
	json_decref(json);
	return 0;
}
