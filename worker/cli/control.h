/* control.h - one call to the running daemon, for pause and resume.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "worker/cli/cli.h"

/* POSTs and prints `done` when the daemon said yes. An exit code. */
int cli_post(struct cli *cli, const char *command, int argc, char **argv, const char *path,
	     const char *done);

#endif
