/* help.c - `studio-worker help [COMMAND]`.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "worker/cli/args.h"
#include "worker/cli/cli.h"

static void overview(void)
{
	puts("usage: studio-worker [--config FILE] COMMAND [OPTIONS]\n"
	     "\n"
	     "Lends this machine's GPU to a studio: takes its jobs, runs them, delivers the\n"
	     "results.\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-15s%s\n", commands[i]->name, commands[i]->summary);
	puts("\n"
	     "`studio-worker COMMAND --help` tells more. --config FILE names the config.toml;\n"
	     "identity.json and state/ are kept beside it.\n"
	     "exit codes: 0 fine, 1 failed, 2 usage, 3 broken config, 4 no daemon runs,\n"
	     "            5 token refused, 6 ended by the studio, 7 gave up reconnecting,\n"
	     "            8 an error of the studio; 7 and 8: a restart tries again");
}

static int run(struct cli *cli, int argc, char **argv)
{
	(void)cli;
	if (!args_parse("help", NULL, 0, &argc, argv))
		return EXIT_USAGE;
	if (argc == 0) {
		overview();
		return EXIT_OK;
	}
	const struct command *c = command_find(argv[0]);
	if (!c) {
		fprintf(stderr, "studio-worker: there is no command %s\n", argv[0]);
		return EXIT_USAGE;
	}
	if (c == &help_command)
		overview();
	else
		fputs(c->help, stdout);
	return EXIT_OK;
}

const struct command help_command = {
    .name = "help",
    .summary = "this overview, or a command's help",
    .help = "usage: studio-worker help [COMMAND]\n",
    .run = run,
};
