/* register.c - `studio-worker register`: changes what is on disk; the daemon does the asking.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "worker/api/control.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"
#include "worker/registration/registration.h"

static int set_url(struct config *c, const char *url)
{
	struct err e = ERR_INIT;
	auto_free char *base = url_api_base(url, &e);
	if (!base) {
		err_wrap(&e, "--api-base-url");
		return cli_fail(EXIT_USAGE, &e);
	}
	if (config_set(c, "api_base_url", url, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	return EXIT_OK;
}

static bool daemon_runs(const struct config *c)
{
	json_t *answer = control_call(c->state_dir, "GET", "/healthz", NULL);
	json_decref(answer);
	return answer != NULL;
}

static void tell(const struct config *c, const struct identity *id)
{
	const char *studio = c->options.api_base_url;
	auto_free char *worker = cli_clean(id->worker_id);
	auto_free char *reason = cli_clean(id->rejected_reason);
	auto_free char *request = cli_clean(id->request_id);
	switch (registration_state_of(id)) {
	case REGISTRATION_APPROVED:
		printf("registered with %s as worker %s; --reset asks anew\n", studio, worker);
		return;
	case REGISTRATION_REJECTED:
		printf("rejected by %s: %s; --reset asks anew\n", studio, reason);
		return;
	case REGISTRATION_PENDING:
		printf("request %s waits for approval by the operator of %s\n", request, studio);
		break;
	case REGISTRATION_PRISTINE:
		printf("not registered with %s yet\n", studio);
		break;
	}
	puts(daemon_runs(c) ? "the running daemon asks the studio"
			    : "start `studio-worker run`: it asks the studio");
}

static int change(struct config *c, const char *url, bool reset)
{
	struct identity id = {0};
	struct err e = ERR_INIT;
	int code = url ? set_url(c, url) : EXIT_OK;
	if (code == EXIT_OK && reset && identity_reset(&id, c, &e) < 0)
		code = cli_fail(EXIT_FAILED, &e);
	else if (code == EXIT_OK && !reset)
		code = cli_load_identity(c, &id);
	if (code == EXIT_OK)
		tell(c, &id);
	identity_fini(&id);
	return code;
}

static int run(struct cli *cli, int argc, char **argv)
{
	const char *url = NULL;
	bool reset = false;
	struct config c;
	const struct arg args[] = {{"--api-base-url", NULL, &url}, {"--reset", &reset, NULL}};
	if (!args_parse("register", args, ARRAY_LEN(args), &argc, argv) ||
	    !args_count("register", argc, argv, 0,
			"studio-worker register [--api-base-url URL] [--reset]"))
		return EXIT_USAGE;
	int code = cli_load(cli, &c);
	if (code == EXIT_OK)
		code = change(&c, url, reset);
	config_fini(&c);
	return code;
}

const struct command register_command = {
    .name = "register",
    .summary = "choose the studio, or ask it anew",
    .help = "usage: studio-worker register [--api-base-url URL] [--reset]\n"
	    "\n"
	    "Tells how far the registration is and what to do next. The daemon registers by\n"
	    "itself; its operator at the studio approves the request.\n"
	    "\n"
	    "  --api-base-url URL  write the studio's address to config.toml first\n"
	    "  --reset             forget worker id, token and request, also in a config.toml\n"
	    "                      of the production worker, and ask anew (after a\n"
	    "                      rejection, a refused token, or for another studio)\n"
	    "\n"
	    "A running daemon notices either within seconds.\n",
    .run = run,
};
