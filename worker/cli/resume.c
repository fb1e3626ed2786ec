/* resume.c - `studio-worker resume`.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/control.h"

static int run(struct cli *cli, int argc, char **argv)
{
	return cli_post(cli, "resume", argc, argv, "/daemon/resume",
			"resumed: new offers are accepted again");
}

const struct command resume_command = {
    .name = "resume",
    .summary = "take jobs again",
    .help = "usage: studio-worker resume\n"
	    "\n"
	    "Ends a `studio-worker pause`: the running daemon accepts new offers again.\n"
	    "\n"
	    "exit codes: 0 resumed, 4 no daemon runs\n",
    .run = run,
};
