/* seeds.c - the models every studio starts with: one of each synthetic kind and a spoken voice.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

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
};

/* One seed on its way into the storage. */
struct planting {
	const struct seed *seed;
	struct storage *storage;
	struct log *log;
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
	struct planting *p = arg;

	if (r->err->code)
		log_error(p->log, "registry", NULL, "model %s could not be seeded: %s", p->seed->id,
			  r->err->text);
	else
		log_debug(p->log, "registry", NULL, "model %s seeded", p->seed->id);
	free(p);
}

static void looked_up(void *arg, const struct storage_reply *r)
{
	struct planting *p = arg;
	struct model_record m = {.enabled = true};

	if (r->err->code != ENOENT) {
		if (r->err->code)
			log_error(p->log, "registry", NULL, "model %s could not be looked up: %s",
				  p->seed->id, r->err->text);
		free(p);
		return;
	}
	m.id = xstrdup(p->seed->id);
	m.kind = xstrdup(p->seed->kind);
	m.source = source_of(p->seed);
	if (p->seed->defaults)
		m.defaults = json_loads(p->seed->defaults, 0, NULL);
	p->storage->ops->model_put(p->storage, &m, planted, p);
	model_record_fini(&m);
}

void models_seed(struct storage *s, struct log *log)
{
	for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
		struct planting *p = xcalloc(1, sizeof *p);
		*p = (struct planting){&seeds[i], s, log};
		s->ops->model_get(s, p->seed->id, looked_up, p);
	}
}
