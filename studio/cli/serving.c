/* serving.c - why nobody takes a job, as far as the list of workers tells. The order of the checks
 * is that of the studio's dispatch. SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/cli/serving.h"
#include "studio/cli/table.h"

/* How far the worker that came furthest got. */
enum fit { FIT_NOBODY, FIT_CONNECTED, FIT_KIND, FIT_MODEL, FIT_VRAM, FIT_WILLING };

static bool lists(const json_t *list, const char *text)
{
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

/* A worker that lists no model of a kind takes any. */
static bool serves_model(const json_t *caps, const json_t *job)
{
	const json_t *models =
	    json_object_get(json_object_get(caps, "supportedModelsPerKind"), text_of(job, "kind"));
	const char *engine = text_of(json_object_get(job, "modelSource"), "engine");
	auto_free char *wildcard = xasprintf("%s:*", engine);

	return json_array_size(models) == 0 || lists(models, text_of(job, "model")) ||
	       (*engine && (lists(models, engine) || lists(models, wildcard)));
}

static enum fit fit_of(const json_t *worker, const json_t *job)
{
	const json_t *status = json_object_get(worker, "status");
	const json_t *caps = json_object_get(status, "capabilities");

	if (strcmp(text_of(status, "state"), "connected") != 0)
		return FIT_NOBODY;
	if (!lists(json_object_get(caps, "taskKinds"), text_of(job, "kind")))
		return FIT_CONNECTED;
	if (!serves_model(caps, job))
		return FIT_KIND;
	if (json_number_value(json_object_get(caps, "vramThresholdGb")) <
	    json_number_value(json_object_get(job, "vramGbEstimate")))
		return FIT_MODEL;
	return json_is_false(json_object_get(caps, "autoEnabled")) ? FIT_VRAM : FIT_WILLING;
}

static char *obstacle(enum fit best, const json_t *job)
{
	switch (best) {
	case FIT_NOBODY:
		return xstrdup("no worker is connected");
	case FIT_CONNECTED:
		return xasprintf("no connected worker does %s jobs", text_of(job, "kind"));
	case FIT_KIND:
		return xasprintf("no connected worker serves model %s", text_of(job, "model"));
	case FIT_MODEL:
		return xasprintf("no connected worker that serves model %s lends %g GB",
				 text_of(job, "model"),
				 json_number_value(json_object_get(job, "vramGbEstimate")));
	case FIT_VRAM:
		return xstrdup("the workers that could take it are paused");
	case FIT_WILLING:
		break;
	}
	return xstrdup("the workers that could take it are busy");
}

char *serving_obstacle(struct client *c, const json_t *job)
{
	auto_free char *url = url_path(c->base, "/workers");
	auto_free char *text = NULL;
	enum fit best = FIT_NOBODY;
	json_t *out = NULL, *worker;
	size_t i;
	int rc;

	c->quiet = true;
	rc = client_call(c, "GET", url, NULL, &out);
	c->quiet = false;
	if (rc)
		return NULL;
	json_array_foreach (json_object_get(out, "workers"), i, worker) {
		enum fit fit = fit_of(worker, job);
		best = fit > best ? fit : best;
	}
	json_decref(out);
	text = obstacle(best, job);
	return xasprintf("%s; it waits (studiod workers)", text);
}
