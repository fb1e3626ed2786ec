/* submit.c - `studiod submit`: queues a job, and with --wait stays until its result is there.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "lib/wire/kind.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/follow.h"
#include "studio/cli/result.h"
#include "studio/cli/table.h"
#include "studio/cli/task_build.h"

struct submission {
	const char *model, *kind, *task, *source, *game, *asset, *vram, *output;
	const char *values[TASK_OPTIONS];
	bool wait;
};

static int usage(const char *text)
{
	fprintf(stderr, "studiod: %s\nTry 'studiod submit --help'.\n", text);
	return EXIT_USAGE;
}

static int parse(struct submission *s, struct invocation *in)
{
	struct option_row rows[9 + TASK_OPTIONS] = {
	    {"--model", &s->model, NULL}, {"--kind", &s->kind, NULL},
	    {"--task", &s->task, NULL},	  {"--source", &s->source, NULL},
	    {"--game", &s->game, NULL},	  {"--asset", &s->asset, NULL},
	    {"--vram", &s->vram, NULL},	  {"--output", &s->output, NULL},
	    {"--wait", NULL, &s->wait},
	};
	enum kind known;

	for (size_t i = 0; i < TASK_OPTIONS; i++)
		rows[9 + i] = (struct option_row){task_options[i].name, &s->values[i], NULL};
	if (!invocation_read(in, "submit", rows, ARRAY_LEN(rows)))
		return EXIT_USAGE;
	if (in->argc)
		return usage("submit takes options only; is a text missing its quotes?");
	if (!s->model)
		return usage("submit needs --model MODEL");
	if (s->kind && !kind_parse(s->kind, &known))
		return usage("--kind: must be image, llm, audio_stt, audio_tts or video");
	if (s->output && !result_can_be_written(s->output))
		return EXIT_USAGE;
	s->wait |= s->output != NULL;
	return 0;
}

/* The kind as asked for, or the model's; "" leaves it to the studio. */
static int find_kind(struct client *c, const struct submission *s, char **kind)
{
	auto_free char *url = url_path(c->base, "/models/%s", s->model);
	json_t *model = NULL;
	int rc;

	if (s->kind || s->source) {
		*kind = xstrdup(s->kind ? s->kind : "");
		return 0;
	}
	rc = client_call(c, "GET", url, NULL, &model);
	if (c->status == 404)
		fprintf(stderr,
			"studiod: model %s is not known here; with --source and --kind it need "
			"not be\n",
			s->model);
	if (rc == 0)
		*kind = xstrdup(text_of(model, "kind"));
	json_decref(model);
	return rc;
}

static int put_number(json_t *body, const char *key, const char *option, const char *text,
		      struct err *e)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	if (json_is_number(value)) {
		json_object_set_new(body, key, value);
		return 0;
	}
	json_decref(value);
	return err_set(e, EINVAL, "%s: must be a number", option);
}

static json_t *build(const struct submission *s, const char *kind, struct err *e)
{
	json_t *task = task_build(kind, s->task, s->values, e), *body, *source;

	if (!task)
		return NULL;
	body = json_pack("{s:s, s:o, s:s*, s:s*}", "model", s->model, "task", task, "gameId",
			 s->game, "assetName", s->asset);
	if (!body) {
		err_set(e, EINVAL, "the options must be UTF-8");
		return NULL;
	}
	source = s->source ? json_argument("--source", s->source, e) : NULL;
	if (source)
		json_object_set_new(body, "modelSource", source);
	if ((s->source && !source) ||
	    (s->vram && put_number(body, "vramGbEstimate", "--vram", s->vram, e) < 0)) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static int queue_it(struct client *c, const struct submission *s, json_t **job)
{
	auto_free char *kind = NULL;
	auto_free char *url = url_path(c->base, "/jobs");
	struct err e = ERR_INIT;
	int rc = find_kind(c, s, &kind);
	json_t *body;

	if (rc)
		return rc;
	body = build(s, kind, &e);
	if (!body)
		return usage(e.text);
	rc = client_call(c, "POST", url, body, job);
	json_decref(body);
	return rc;
}

static int run(struct invocation *in)
{
	struct submission s = {0};
	struct client c;
	json_t *job = NULL;
	int rc = parse(&s, in);

	if (rc)
		return rc;
	if (!client_open(&c, in->settings))
		return EXIT_NO_STUDIO;
	rc = queue_it(&c, &s, &job);
	if (rc == 0 && !s.wait)
		puts(text_of(job, "id"));
	if (rc == 0 && s.wait && (rc = follow_job(&c, &job)) == 0)
		rc = result_deliver(&c, job, s.output);
	json_decref(job);
	client_fini(&c);
	return rc;
}

const struct command submit_command = {
    .name = "submit",
    .summary = "queue a job",
    .help = "usage: studiod submit --model MODEL [options]\n"
	    "\n"
	    "Queues a job; prints its id, for 'studiod jobs ID --output FILE' later on.\n"
	    "\n"
	    "  --prompt TEXT       what to make: image, video, LLM, and what to say: TTS\n"
	    "  --text TEXT, --input-url URL            what to say (TTS), what to hear (STT)\n"
	    "  --wait              wait; prints the JSON result. Exit code 4: the job failed\n"
	    "  --output FILE       wait and write the result there; - is standard output\n"
	    "  --kind KIND         image, llm, audio_stt, audio_tts, video; else the model's\n"
	    "  --task JSON|@FILE   the whole task; single options win over it\n"
	    "  --source JSON|@FILE the modelSource, for a model that is not registered\n"
	    "  --game ID, --asset NAME, --vram GB      what the job is for, what it needs\n"
	    "image and video:\n"
	    "  --width N, --height N, --ext EXT, --negative-prompt TEXT, --init-image-url URL\n"
	    "  --steps N, --seed N, --cfg-scale X      image\n"
	    "  --seconds X, --fps X                    video\n"
	    "LLM:\n"
	    "  --system TEXT, --max-tokens N, --temperature X\n"
	    "speech:\n"
	    "  --voice NAME, --language CODE, --speed X, --ext EXT, --timestamps segment|word\n",
    .run = run,
};
