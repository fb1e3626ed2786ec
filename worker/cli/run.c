/* run.c - `studio-worker run`: the daemon itself is main.c's.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"

static bool read_options(struct run_options *o, int argc, char **argv)
{
	const char *format = "auto", *level = "info";
	struct err e = ERR_INIT;
	const struct arg args[] = {
	    {"--wait-for-lock", &o->wait_for_lock, NULL},
	    {"--log-format", NULL, &format},
	    {"--log-level", NULL, &level},
	};
	if (!args_parse("run", args, sizeof args / sizeof args[0], &argc, argv) ||
	    !args_count("run", argc, argv, 0, "studio-worker run [OPTIONS]"))
		return false;
	if (!log_format_parse(format, &o->log_format)) {
		fprintf(stderr, "studio-worker run: --log-format is human, json or auto\n");
		return false;
	}
	if (log_filter_parse(&o->log_filter, level, &e) < 0) {
		fprintf(stderr, "studio-worker run: --log-level: %s\n", e.text);
		return false;
	}
	return true;
}

/* A file that was named and is not there is a slip: the defaults would ask another studio. */
static int no_config(const char *path)
{
	auto_free char *safe = cli_clean(path);
	fprintf(stderr,
		"studio-worker: there is no %s; `studio-worker --config %s register "
		"--api-base-url URL` makes it\n",
		safe, safe);
	return EXIT_CONFIG;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct run_options o = {.config_path = cli->config_path};
	if (!read_options(&o, argc, argv))
		return EXIT_USAGE;
	if (cli->config_named && !fs_exists(cli->config_path))
		return no_config(cli->config_path);
	return cli->daemon(&o);
}

const struct command run_command = {
    .name = "run",
    .summary = "serve the studio, until SIGTERM or Ctrl-C",
    .help = "usage: studio-worker run [OPTIONS]\n"
	    "\n"
	    "Registers with the studio, waits for approval, then takes and runs its jobs.\n"
	    "One daemon serves a folder: a second one says so and exits 0.\n"
	    "\n"
	    "  --wait-for-lock      wait until the other daemon ends, then take over\n"
	    "  --log-format FORMAT  human, json, or auto: human on a terminal, else json\n"
	    "  --log-level SPEC     debug, info, warn or error; per room as well:\n"
	    "                       info,ws=debug,engine=warn\n"
	    "  --config FILE        the config.toml to use; it must be there\n"
	    "\n"
	    "environment: SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are honoured;\n"
	    "STUDIO_WORKER_VRAM_GB overrides the GPU memory that was found.\n"
	    "\n"
	    "exit codes: 0 stopped, 3 broken config, 5 the studio refused our token,\n"
	    "6 the studio ended us (deleted, duplicate), 7 gave up reconnecting\n",
    .run = run,
};
