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

/* The daemon's own; NULL when it gives none. Needs nothing that stands in config.toml. */
static json_t *from_daemon(const struct cli *cli)
{
	struct err e = ERR_INIT;
	struct config c;
	config_init(&c, cli->config_path);
	json_t *status = control_call(c.state_dir, "GET", "/daemon/status", &e);
	if (!status && e.code != ENOENT && e.code != ECONNREFUSED)
		fprintf(stderr, "studio-worker: the daemon does not answer (%s); from disk:\n",
			e.text);
	config_fini(&c);
	return status;
}

/* NULL with *code set when the disk gives nothing. */
static json_t *from_disk(const struct config *c, int *code)
{
	struct identity id;
	json_t *status;
	*code = cli_load_identity(c, &id);
	if (*code != EXIT_OK)
		return NULL;
	status = status_from_disk(c, &id);
	identity_fini(&id);
	return status;
}

static int show(const struct cli *cli, bool as_json)
{
	struct config c;
	json_t *status = from_daemon(cli);
	int code = cli_load(cli, &c); /* a broken file is told beside what the daemon says */
	if (status)
		code = EXIT_OK;
	else if (code == EXIT_OK)
		status = from_disk(&c, &code);
	config_fini(&c);
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
	const struct arg args[] = {{"--json", &as_json, NULL}};
	if (!args_parse("status", args, ARRAY_LEN(args), &argc, argv) ||
	    !args_count("status", argc, argv, 0, "studio-worker status [--json]"))
		return EXIT_USAGE;
	return show(cli, as_json);
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
	    "           paused, currentJob, jobs (the recent 50, oldest first), outbox;\n"
	    "           registration and session hold lastError while something fails\n",
    .run = run,
};
