/* decide.c - `studiod approve` and `studiod reject`: the operator's answer to a worker that asks to
 * be let in. SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/cli/cli.h"
#include "studio/cli/client.h"
#include "studio/cli/ids.h"
#include "studio/cli/table.h"

static int answer(struct client *c, const char *id, bool reject, json_t *body)
{
	auto_free char *url = url_path(
	    c->base, reject ? "/workers/pending/%s/reject" : "/workers/pending/%s/approve", id);
	json_t *out = NULL;
	int rc = client_call(c, "POST", url, body, &out);

	if (rc && c->status)
		fprintf(stderr,
			"studiod: nothing done for %s; 'studiod workers' lists the open requests\n",
			id);
	else if (rc == 0 && reject)
		printf("rejected %s\n", id);
	else if (rc == 0)
		printf("approved %s as worker %s\n", id, text_of(out, "workerId"));
	json_decref(out);
	return rc;
}

static int decide(struct invocation *in, const char *reason)
{
	struct client c;
	auto_free char *id = NULL;
	json_t *body;
	int rc;

	body = reason ? json_pack("{s:s}", "reason", reason) : json_object();
	if (!body) {
		fputs("studiod: --reason: must be UTF-8\n", stderr);
		return EXIT_USAGE;
	}
	if (!client_open(&c, in->settings)) {
		json_decref(body);
		return EXIT_NO_STUDIO;
	}
	rc = ids_find_request(&c, in->argv[0], &id);
	if (rc == 0)
		rc = answer(&c, id, reason != NULL, body);
	json_decref(body);
	client_fini(&c);
	return rc;
}

static bool one_request(const struct invocation *in, const char *of)
{
	if (in->argc == 1)
		return true;
	fprintf(stderr,
		"studiod: %s needs the id of one request; 'studiod workers' lists them\nTry "
		"'studiod %s --help'.\n",
		of, of);
	return false;
}

static int run_approve(struct invocation *in)
{
	if (!invocation_read(in, "approve", NULL, 0) || !one_request(in, "approve"))
		return EXIT_USAGE;
	return decide(in, NULL);
}

static int run_reject(struct invocation *in)
{
	const char *reason = NULL;
	const struct option_row rows[] = {{"--reason", &reason, NULL}};

	if (!invocation_read(in, "reject", rows, ARRAY_LEN(rows)) || !one_request(in, "reject"))
		return EXIT_USAGE;
	if (!reason || !*reason) {
		fputs("studiod: reject needs --reason TEXT; the worker's owner sees it\nTry "
		      "'studiod reject --help'.\n",
		      stderr);
		return EXIT_USAGE;
	}
	return decide(in, reason);
}

const struct command approve_command = {
    .name = "approve",
    .summary = "let a worker in that asks for it",
    .help = "usage: studiod approve REQUEST\n"
	    "\n"
	    "Lets the worker in that made this request (rr-...; 'studiod workers' lists\n"
	    "them). It fetches its token with its next poll, within 30 seconds.\n",
    .run = run_approve,
};
const struct command reject_command = {
    .name = "reject",
    .summary = "turn a worker away, with a reason",
    .help = "usage: studiod reject REQUEST --reason TEXT\n"
	    "\n"
	    "Turns the worker away that made this request (rr-...; 'studiod workers' lists\n"
	    "them). Its owner sees the reason; it does not ask again on its own.\n",
    .run = run_reject,
};
