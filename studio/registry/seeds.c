/* seeds.c - the models every studio starts with: one of each synthetic kind, a spoken voice and
 * the recogniser that distributions bring.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "studio/registry/models.h"

struct seed {
	const char *id, *kind, *engine;
	const char *defaults; /* JSON, NULL: none */
};

static const struct seed seeds[] = {
    {"synthetic-image", "image", "synthetic", NULL},
    {"synthetic-llm", "llm", "synthetic", NULL},
    {"synthetic-stt", "audio_stt", "synthetic", NULL},
    {"synthetic-tts", "audio_tts", "synthetic", NULL},
    {"synthetic-video", "video", "synthetic", NULL},
    {"espeak-en", "audio_tts", "espeak-ng", "{\"voice\":\"en\"}"},
    {"pocketsphinx-en", "audio_stt", "pocketsphinx", "{\"language\":\"en\"}"},
};

/* The four numbers are what a worker of another make may insist on; the synthetic engines ignore
 * them. */
static json_t *source_of(const struct seed *s)
{
	json_t *defaults = json_pack("{s:f, s:i, s:i, s:i}", "cfgScale", 7.0, "steps", 20, "width",
				     512, "height", 512);

	return json_pack("{s:s, s:[], s:o}", "engine", s->engine, "files", "cliDefaults", defaults);
}

static void planted(void *arg, const struct storage_reply *r)
{
	struct seeding *s = arg;

	if (r->err->code)
		log_error(s->log, "registry", NULL, "a model could not be seeded: %s",
			  r->err->text);
}

static void plant(struct seeding *s, const struct seed *seed)
{
	struct model_record m = {.enabled = true};

	m.id = xstrdup(seed->id);
	m.kind = xstrdup(seed->kind);
	m.source = source_of(seed);
	if (seed->defaults)
		m.defaults = json_loads(seed->defaults, 0, NULL);
	s->storage->ops->model_put(s->storage, &m, planted, s);
	model_record_fini(&m);
}

static bool has(const struct storage_reply *r, const char *id)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->models[i].id, id) == 0)
			return true;
	return false;
}

static void models_listed(void *arg, const struct storage_reply *r)
{
	struct seeding *s = arg;

	if (r->err->code) {
		log_error(s->log, "registry", NULL, "the models could not be listed: %s",
			  r->err->text);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(seeds); i++)
		if (!has(r, seeds[i].id))
			plant(s, &seeds[i]);
}

void models_seed(struct seeding *s)
{
	s->storage->ops->model_list(s->storage, models_listed, s);
}
