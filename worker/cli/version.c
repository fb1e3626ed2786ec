/* version.c - `studio-worker version`.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "worker/cli/args.h"
#include "worker/cli/cli.h"

static int run(struct cli *cli, int argc, char **argv)
{
	(void)cli;
	if (!args_parse("version", NULL, 0, &argc, argv) ||
	    !args_count("version", argc, argv, 0, "studio-worker version"))
		return EXIT_USAGE;
	puts("studio-worker " PROGRAM_VERSION);
	return EXIT_OK;
}

const struct command version_command = {
    .name = "version",
    .summary = "print the version",
    .help = "usage: studio-worker version\n\nPrints the name and version of this program.\n",
    .run = run,
};
