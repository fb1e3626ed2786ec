/* submit.c - `studiod submit`: queues a job, and with --wait stays until its result is there.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/net/url.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/table.h"
#include "studio/cli/task_build.h"

#define LOOK_EVERY_US 200000

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

	for (size_t i = 0; i < TASK_OPTIONS; i++)
		rows[9 + i] = (struct option_row){task_options[i].name, &s->values[i], NULL};
	if (!options_read("studiod submit", rows, ARRAY_LEN(rows), false, &in->argc, in->argv))
		return EXIT_USAGE;
	if (in->argc)
		return usage("submit takes options only; is a text missing its quotes?");
	if (!s->model)
		return usage("submit needs --model MODEL");
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

static bool over(const json_t *job)
{
	return strcmp(text_of(job, "state"), "done") == 0 ||
	       strcmp(text_of(job, "state"), "failed") == 0;
}

/* A line on the terminal, or one a change elsewhere. */
static void show_progress(const json_t *job, char **last)
{
	const json_t *p = json_object_get(job, "progress"),
		     *fraction = json_object_get(p, "fraction");
	auto_free char *percent = json_is_number(fraction)
				      ? xasprintf(" %.0f %%", 100 * json_number_value(fraction))
				      : xstrdup("");
	auto_free char *line = xasprintf("%s: %s%s%s%s", text_of(job, "id"), text_of(job, "state"),
					 p ? ", " : "", text_of(p, "stage"), percent);
	bool terminal = isatty(STDERR_FILENO);

	if (*last && strcmp(*last, line) == 0)
		return;
	if (terminal)
		fprintf(stderr, "\r\033[K%s", line);
	else if (!*last || !p)
		fprintf(stderr, "%s\n", line);
	if (terminal && over(job))
		fputc('\n', stderr);
	str_replace(last, line);
}

/* Until the job is over; *job is replaced with its last state. */
static int follow(struct client *c, json_t **job)
{
	auto_free char *url = url_path(c->base, "/jobs/%s", text_of(*job, "id"));
	auto_free char *last = NULL;
	int rc = 0;

	while (rc == 0) {
		json_t *now = NULL;
		show_progress(*job, &last);
		if (over(*job))
			return 0;
		usleep(LOOK_EVERY_US);
		rc = client_call(c, "GET", url, NULL, &now);
		if (rc == 0) {
			json_decref(*job);
			*job = now;
		}
	}
	return rc;
}

static int save(struct client *c, const char *id, const char *output)
{
	auto_free char *data = NULL;
	struct err e = ERR_INIT;
	size_t len = 0;
	int rc = client_result(c, id, &data, &len);

	if (rc)
		return rc;
	if (strcmp(output, "-") == 0)
		return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0 ? EXIT_OK
										  : EXIT_FAILED;
	if (fs_write_atomic(output, data ? data : "", len, 0644, &e) == 0)
		return EXIT_OK;
	fprintf(stderr, "studiod: the result cannot be written: %s\n", e.text);
	return EXIT_FAILED;
}

static int finish(struct client *c, const struct submission *s, const json_t *job)
{
	const char *id = text_of(job, "id");

	if (strcmp(text_of(job, "state"), "failed") == 0) {
		fprintf(stderr, "studiod: job %s failed: %s\n", id, text_of(job, "error"));
		return EXIT_JOB;
	}
	if (s->output)
		return save(c, id, s->output);
	if (strcmp(text_of(job, "resultType"), "json") == 0) {
		json_dumpf(json_object_get(job, "result"), stdout,
			   JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else {
		printf("%s done: %s, %lld bytes, sha256 %s\n", id, text_of(job, "ext"),
		       (long long)json_integer_value(json_object_get(job, "bytes")),
		       text_of(job, "sha256"));
	}
	return EXIT_OK;
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
	if (rc == 0 && s.wait && (rc = follow(&c, &job)) == 0)
		rc = finish(&c, &s, job);
	json_decref(job);
	client_fini(&c);
	return rc;
}

const struct command submit_command = {
    .name = "submit",
    .summary = "queue a job",
    .help = "usage: studiod submit --model MODEL [options]\n"
	    "\n"
	    "Queues a job and prints its id; with --wait stays until the result is there.\n"
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
