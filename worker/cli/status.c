/* status.c - `studio-worker status`: from the running daemon, or from disk when none runs.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>

#include "lib/base/mem.h"
#include "worker/api/control.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"
#include "worker/cli/screen.h"

static int64_t wall_ms(void)
{
	struct timeval tv;
	gettimeofday(&tv, NULL);
	return (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

/* NULL with *code set when even the disk gives nothing. */
static json_t *get_status(const struct config *c, int *code)
{
	struct err e = ERR_INIT;
	struct identity id;
	json_t *status = control_call(c->state_dir, "GET", "/daemon/status", &e);
	if (status)
		return status;
	if (e.code != ENOENT && e.code != ECONNREFUSED)
		fprintf(stderr, "studio-worker: the daemon does not answer (%s); from disk:\n",
			e.text);
	*code = cli_load_identity(c, &id);
	if (*code != EXIT_OK)
		return NULL;
	status = status_from_disk(c, &id);
	identity_fini(&id);
	return status;
}

static int show(const struct config *c, bool as_json)
{
	int code = EXIT_OK;
	json_t *status = get_status(c, &code);
	if (!status)
		return code;
	if (as_json) {
		json_dumpf(status, stdout, JSON_INDENT(2));
		puts("");
	} else {
		screen_print(stdout, status, wall_ms());
	}
	json_decref(status);
	return code;
}

static int run(struct cli *cli, int argc, char **argv)
{
	bool as_json = false;
	struct config c;
	const struct arg args[] = {{"--json", &as_json, NULL}};
	if (!args_parse("status", args, ARRAY_LEN(args), &argc, argv) ||
	    !args_count("status", argc, argv, 0, "studio-worker status [--json]"))
		return EXIT_USAGE;
	int code = cli_load(cli, &c);
	if (code == EXIT_OK)
		code = show(&c, as_json);
	config_fini(&c);
	return code;
}

const struct command status_command = {
    .name = "status",
    .summary = "registration, session, current and recent jobs",
    .help = "usage: studio-worker status [--json]\n"
	    "\n"
	    "Shows the registration and what to do about it, the session, whether offers are\n"
	    "accepted, the job that runs, the recent jobs and how many results wait for\n"
	    "delivery; from the running daemon, or from disk when none runs.\n"
	    "\n"
	    "  --json   everything as one JSON object: running, version, pid, configPath,\n"
	    "           apiBaseUrl, workerId, vramThresholdGb, registration, session,\n"
	    "           paused, currentJob, jobs (the recent 50, oldest first), outbox\n",
    .run = run,
};
