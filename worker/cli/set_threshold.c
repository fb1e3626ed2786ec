/* set_threshold.c - `studio-worker set-threshold GB`.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "worker/cli/args.h"
#include "worker/cli/cli.h"

static int set(const struct cli *cli, const char *gb)
{
	struct config c;
	struct err e = ERR_INIT;
	int code = cli_load(cli, &c);
	if (code != EXIT_OK)
		return code;
	int r = config_set(&c, "vram_threshold_gb", gb, &e);
	if (r < 0)
		code =
		    cli_fail(e.code == EINVAL || e.code == ERANGE ? EXIT_USAGE : EXIT_FAILED, &e);
	else
		printf("vram_threshold_gb = %g in %s\n", c.options.vram_threshold_gb, c.path);
	config_fini(&c);
	return code;
}

static int run(struct cli *cli, int argc, char **argv)
{
	static const char usage[] = "studio-worker set-threshold GB";
	/* "-1" is a number out of range, not an option. */
	bool number = argc == 1 && argv[0][0] == '-' && argv[0][1] >= '0' && argv[0][1] <= '9';
	if (!number && !args_parse("set-threshold", NULL, 0, &argc, argv))
		return EXIT_USAGE;
	if (!args_count("set-threshold", argc, argv, 1, usage))
		return EXIT_USAGE;
	return set(cli, argv[0]);
}

const struct command set_threshold_command = {
    .name = "set-threshold",
    .summary = "lend at most GB of GPU memory to one job",
    .help = "usage: studio-worker set-threshold GB\n"
	    "\n"
	    "Writes vram_threshold_gb to config.toml; comments and everything else in the\n"
	    "file stay as they are. A running daemon tells the studio with its next\n"
	    "heartbeat. 0 lends nothing: only jobs that need no GPU memory are offered.\n",
    .run = run,
};
