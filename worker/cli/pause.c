/* pause.c - `studio-worker pause`.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/control.h"

static int run(struct cli *cli, int argc, char **argv)
{
	return cli_post(cli, "pause", argc, argv, "/daemon/pause",
			"paused: new offers are rejected until `studio-worker resume`");
}

const struct command pause_command = {
    .name = "pause",
    .summary = "take no more jobs; one that runs is finished",
    .help = "usage: studio-worker pause\n"
	    "\n"
	    "Tells the running daemon to reject new offers. A job that runs is finished and\n"
	    "delivered. The studio learns of it with the next heartbeat. A restart of the\n"
	    "daemon ends the pause.\n"
	    "\n"
	    "exit codes: 0 paused, 4 no daemon runs\n",
    .run = run,
};
