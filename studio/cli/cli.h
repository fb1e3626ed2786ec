/* cli.h - the commands of studiod, one file each; `serve` itself comes from main.c.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "studio/cli/options.h"
#include "studio/cli/settings.h"

typedef int serve_fn(const struct settings *s);

/* What a command is run with: everything after its name is in argv. */
struct invocation {
	struct settings *settings;
	serve_fn *serve;
	int argc;
	char **argv;
	const char *config, *data, *listen; /* global options, before or after the command */
};
struct command {
	const char *name, *summary;
	const char *help; /* fits 24 lines of 80 columns */
	int (*run)(struct invocation *in);
};
/* serve.c, workers.c, decide.c, submit.c, jobs.c */
extern const struct command serve_command, workers_command, approve_command, reject_command,
    submit_command, jobs_command;

/* A command's options and, where they stand behind it, the global ones; then the settings. False:
 * exit with EXIT_USAGE. `of` is the command. */
bool invocation_read(struct invocation *in, const char *of, const struct option_row *rows,
		     size_t n);

/* Reads the global options, finds the command, runs it. Returns the exit code. */
int cli_main(int argc, char **argv, serve_fn *serve);

#endif
