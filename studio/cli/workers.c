/* workers.c - `studiod workers`: who asks to be let in, who is admitted, what they do.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "lib/wire/kind.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/table.h"

static const char *const pending_heads[] = {"REQUEST", "MACHINE", "USER", "FROM", "ASKED", NULL};
static const char *const worker_heads[] = {"WORKER", "MACHINE", "STATE", "JOB",
					   "LENDS",  "KINDS",	"SEEN",	 NULL};

static void print_pending(json_t *list)
{
	struct table t;
	size_t i;
	json_t *q;

	table_init(&t, pending_heads);
	json_array_foreach (list, i, q) {
		json_t *caps = json_object_get(q, "capabilities");
		char age[32], id[16];
		age_of(q, "createdAt", age);
		table_row(&t, (const char *[]){id_shown(text_of(q, "requestId"), id),
					       text_of(caps, "machineName"),
					       text_of(caps, "username"), text_of(q, "peer"), age});
	}
	table_print(&t);
	table_fini(&t);
}

/* "12 GB of 24"; a worker that does not know its memory says 0. */
static char *lends_of(const json_t *caps)
{
	double total = json_number_value(json_object_get(caps, "vramTotalGb"));
	auto_free char *lends =
	    xasprintf("%g GB", json_number_value(json_object_get(caps, "vramThresholdGb")));

	return total > 0 ? xasprintf("%s of %g", lends, total) : steal(&lends);
}

/* Short on a terminal: "all", or without the "audio_". */
static const char *kind_shown(const json_t *kind)
{
	const char *text = json_is_string(kind) ? json_string_value(kind) : "?";

	return isatty(STDOUT_FILENO) && strncmp(text, "audio_", 6) == 0 ? text + 6 : text;
}

static char *kinds_of(json_t *caps)
{
	if (isatty(STDOUT_FILENO) &&
	    json_array_size(json_object_get(caps, "taskKinds")) >= KIND_COUNT)
		return xstrdup("all");
	char *all = xstrdup("");
	size_t i;
	json_t *kind;

	json_array_foreach (json_object_get(caps, "taskKinds"), i, kind) {
		char *more = xasprintf("%s%s%s", all, i ? "," : "", kind_shown(kind));
		free(all);
		all = more;
	}
	return all;
}

static void print_worker(struct table *t, json_t *w)
{
	json_t *caps = json_object_get(w, "capabilities"), *status = json_object_get(w, "status");
	json_t *automatic = json_object_get(caps, "autoEnabled");
	auto_free char *kinds = kinds_of(caps);
	auto_free char *lends = lends_of(caps);
	const char *state = status ? text_of(status, "state") : "offline";
	char age[32], id[16], job[16];

	if (status && json_is_false(automatic))
		state = "paused";
	age_of(w, "seenAt", age);
	table_row(t, (const char *[]){id_shown(text_of(w, "id"), id), text_of(caps, "machineName"),
				      state, id_shown(text_of(status, "currentJob"), job), lends,
				      kinds, age});
}

static void print_workers(json_t *list)
{
	struct table t;
	size_t i;
	json_t *w;

	table_init(&t, worker_heads);
	json_array_foreach (list, i, w)
		print_worker(&t, w);
	table_print(&t);
	table_fini(&t);
}

static void print_both(json_t *pending, json_t *workers)
{
	if (json_array_size(pending)) {
		print_pending(pending);
		puts("\nLet one in with: studiod approve REQUEST\n");
	}
	if (json_array_size(workers))
		print_workers(workers);
	else if (!json_array_size(pending))
		puts("No workers yet. On a worker's machine: studio-worker register --api-base-url "
		     "URL, then run.");
}

static int show(struct client *c, bool as_json)
{
	auto_free char *pending_url = url_path(c->base, "/workers/pending");
	auto_free char *workers_url = url_path(c->base, "/workers");
	json_t *pending = NULL, *workers = NULL;
	int rc = client_call(c, "GET", pending_url, NULL, &pending);

	if (rc == 0)
		rc = client_call(c, "GET", workers_url, NULL, &workers);
	if (rc == 0 && as_json) {
		json_object_update(workers, pending);
		json_dumpf(workers, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (rc == 0) {
		print_both(json_object_get(pending, "requests"),
			   json_object_get(workers, "workers"));
	}
	json_decref(pending);
	json_decref(workers);
	return rc;
}

static int run(struct invocation *in)
{
	bool as_json = false;
	const struct option_row rows[] = {{"--json", NULL, &as_json}};
	struct client c;
	int rc;

	if (!invocation_read(in, "workers", rows, ARRAY_LEN(rows)))
		return EXIT_USAGE;
	if (in->argc) {
		fputs("studiod: workers takes no arguments\nTry 'studiod workers --help'.\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (!client_open(&c, in->settings))
		return EXIT_NO_STUDIO;
	rc = show(&c, as_json);
	client_fini(&c);
	return rc;
}

const struct command workers_command = {
    .name = "workers",
    .summary = "list the workers and those who ask to be let in",
    .help = "usage: studiod workers [--json]\n"
	    "\n"
	    "Lists the workers and, above them, the requests of those who ask to be let in.\n"
	    "\n"
	    "  --json   {\"workers\": [...], \"requests\": [...]} as the HTTP API tells it\n",
    .run = run,
};
