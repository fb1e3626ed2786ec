/* jobs.c - `studiod jobs`: the newest jobs and how they went, or one of them in full.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/net/url.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/table.h"

static const char *const heads[] = {"JOB", "STATE", "KIND", "MODEL", "TOOK", "AGE", "ERROR", NULL};

static void print_job(struct table *t, json_t *j)
{
	json_t *ran = json_object_get(j, "ranMs");
	const char *note = text_of(j, "error");
	char took[32] = "", age[32];

	if (ran && json_integer_value(ran) >= 0)
		time_format_duration((uint64_t)json_integer_value(ran), took);
	age_of(j, "createdAt", age);
	table_row(t, (const char *[]){text_of(j, "id"), text_of(j, "state"), text_of(j, "kind"),
				      text_of(j, "model"), took, age, note});
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

/* These go into a URL as they are. */
static bool plain(const char *name, const char *word)
{
	if (!word ||
	    (*word && strspn(word, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(word)))
		return true;
	fprintf(stderr, "studiod: %s: %s is not a value for it\nTry 'studiod jobs --help'.\n", name,
		word);
	return false;
}

static int show(struct client *c, const char *url, bool in_full)
{
	json_t *out = NULL;
	int rc = client_call(c, "GET", url, NULL, &out);

	if (rc == 0 && in_full) {
		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (rc == 0) {
		print_jobs(out);
	}
	json_decref(out);
	return rc;
}

static int run(struct invocation *in)
{
	const char *state = NULL, *kind = NULL, *limit = "20";
	bool as_json = false;
	const struct option_row rows[] = {{"--state", &state, NULL},
					  {"--kind", &kind, NULL},
					  {"--limit", &limit, NULL},
					  {"--json", NULL, &as_json}};
	auto_free char *url = NULL;
	struct client c;
	int rc;

	if (!options_read("studiod jobs", rows, ARRAY_LEN(rows), false, &in->argc, in->argv) ||
	    !plain("--state", state) || !plain("--kind", kind) || !plain("--limit", limit))
		return EXIT_USAGE;
	if (in->argc > 1) {
		fputs("studiod: jobs takes the id of one job at most\nTry 'studiod jobs --help'.\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (!client_open(&c, in->settings))
		return EXIT_NO_STUDIO;
	url =
	    in->argc ? url_path(c.base, "/jobs/%s", in->argv[0]) : list_url(&c, state, kind, limit);
	rc = show(&c, url, as_json || in->argc);
	client_fini(&c);
	return rc;
}

const struct command jobs_command = {
    .name = "jobs",
    .summary = "list the newest jobs, or show one",
    .help = "usage: studiod jobs [JOB] [options]\n"
	    "\n"
	    "Lists the newest jobs; with the id of one, shows all there is about it as JSON.\n"
	    "\n"
	    "  --state STATE   only queued, offered, claimed, done or failed\n"
	    "  --kind KIND     only image, llm, audio_stt, audio_tts or video\n"
	    "  --limit N       at most N, 1 to 200; default 20\n"
	    "  --json          as the HTTP API tells it\n",
    .run = run,
};
