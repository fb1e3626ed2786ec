/* jobs.c - `studiod jobs`: the newest jobs and how they went, or one of them in full.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/wire/kind.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/job.h"
#include "studio/cli/result.h"
#include "studio/cli/table.h"

static const char *const heads[] = {"JOB", "STATE", "KIND", "MODEL", "TOOK", "AGE", "ERROR", NULL};

static void print_job(struct table *t, json_t *j)
{
	json_t *ran = json_object_get(j, "ranMs");
	const char *note = text_of(j, "error");
	char took[32] = "", age[32], id[16];

	if (ran && json_integer_value(ran) >= 0)
		time_format_duration((uint64_t)json_integer_value(ran), took);
	age_of(j, "createdAt", age);
	table_row(t, (const char *[]){id_shown(text_of(j, "id"), id), text_of(j, "state"),
				      text_of(j, "kind"), text_of(j, "model"), took, age, note});
}

static void print_jobs(json_t *out)
{
	json_t *list = json_object_get(out, "jobs"), *j;
	struct table t;
	size_t i;

	if (!json_array_size(list)) {
		puts("No jobs. Queue one with: studiod submit --model synthetic-image --prompt "
		     "TEXT");
		return;
	}
	table_init(&t, heads);
	json_array_foreach (list, i, j)
		print_job(&t, j);
	table_print(&t);
	table_fini(&t);
	if (json_object_get(out, "nextCursor"))
		puts("There are more; --limit shows them.");
}

static char *list_url(const struct client *c, const char *state, const char *kind,
		      const char *limit)
{
	auto_free char *by_state = state ? xasprintf("&state=%s", state) : xstrdup("");
	auto_free char *by_kind = kind ? xasprintf("&kind=%s", kind) : xstrdup("");

	return xasprintf("%s/jobs?limit=%s%s%s", c->base, limit, by_state, by_kind);
}

static bool wrong(const char *text)
{
	fprintf(stderr, "studiod: %s\nTry 'studiod jobs --help'.\n", text);
	return false;
}

/* These go into a URL as they are. */
static bool filters_fine(const char *state, const char *kind, const char *limit)
{
	static const char *const states[] = {"queued", "offered", "claimed", "done", "failed"};
	enum kind parsed;
	bool known = !state;
	size_t digits = strspn(limit, "0123456789");

	for (size_t i = 0; !known && i < ARRAY_LEN(states); i++)
		known = strcmp(state, states[i]) == 0;
	if (!known)
		return wrong("--state: must be queued, offered, claimed, done or failed");
	if (kind && !kind_parse(kind, &parsed))
		return wrong("--kind: must be image, llm, audio_stt, audio_tts or video");
	if (!digits || digits > 3 || limit[digits] || atoi(limit) < 1 || atoi(limit) > 200)
		return wrong("--limit: must be a whole number, 1 to 200");
	return true;
}

static int list(struct client *c, const char *url, bool as_json)
{
	json_t *out = NULL;
	int rc = client_call(c, "GET", url, NULL, &out);

	if (rc == 0 && as_json) {
		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (rc == 0) {
		print_jobs(out);
	}
	json_decref(out);
	return rc;
}

/* What goes with a job, with a list, and with each other. */
static bool fits_together(int jobs, bool filtered, const struct job_options *o)
{
	bool deliver = o->wait || o->output;

	if (jobs > 1)
		return wrong("jobs takes the id of one job at most");
	if (!jobs && (deliver || o->cancel || o->retry))
		return wrong("--output, --wait, --cancel and --retry need the id of a job");
	if (jobs && filtered)
		return wrong("--state, --kind and --limit are for the list, not for one job");
	if (deliver + o->cancel + o->retry > 1)
		return wrong("--cancel and --retry go with nothing else");
	return !o->output || result_can_be_written(o->output);
}

static int run(struct invocation *in)
{
	const char *state = NULL, *kind = NULL, *limit = NULL;
	struct job_options one = {0};
	bool as_json = false;
	const struct option_row rows[] = {
	    {"--state", &state, NULL},	     {"--kind", &kind, NULL},
	    {"--limit", &limit, NULL},	     {"--json", NULL, &as_json},
	    {"--output", &one.output, NULL}, {"--wait", NULL, &one.wait},
	    {"--cancel", NULL, &one.cancel}, {"--retry", NULL, &one.retry},
	};
	auto_free char *url = NULL;
	struct client c;
	int rc;

	if (!invocation_read(in, "jobs", rows, ARRAY_LEN(rows)) ||
	    !filters_fine(state, kind, limit ? limit : "20") ||
	    !fits_together(in->argc, state || kind || limit, &one))
		return EXIT_USAGE;
	if (!client_open(&c, in->settings))
		return EXIT_NO_STUDIO;
	url = list_url(&c, state, kind, limit ? limit : "20");
	rc = in->argc ? job_run(&c, in->argv[0], &one) : list(&c, url, as_json);
	client_fini(&c);
	return rc;
}

const struct command jobs_command = {
    .name = "jobs",
    .summary = "list the newest jobs; show one, fetch its result",
    .help = "usage: studiod jobs [options]\n"
	    "       studiod jobs JOB [--wait] [--output FILE] | --cancel | --retry\n"
	    "\n"
	    "Lists the newest jobs; with the id of one, or its beginning, shows all there is\n"
	    "about it as JSON.\n"
	    "\n"
	    "  --state STATE   only queued, offered, claimed, done or failed\n"
	    "  --kind KIND     only image, llm, audio_stt, audio_tts or video\n"
	    "  --limit N       at most N, 1 to 200; default 20\n"
	    "  --json          as the HTTP API tells it\n"
	    "one job:\n"
	    "  --output FILE   write its result there; - is standard output\n"
	    "  --wait          for its end; prints a JSON result. Exit code 4: it failed\n"
	    "  --cancel        end it, queued or in work\n"
	    "  --retry         queue a failed one again\n",
    .run = run,
};
