/* cli.h - the commands of studio-worker, one file each.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "lib/base/log_stderr.h"
#include "worker/cli/exit.h"
#include "worker/config/identity.h"

/* What `run` hands to the daemon, which main.c is. */
struct run_options {
	const char *config_path;
	bool wait_for_lock;
	enum log_format log_format;
	struct log_filter log_filter;
};
typedef int daemon_fn(const struct run_options *o); /* an exit code */

struct cli {
	const char *config_path; /* of --config, or the default */
	bool config_named;	 /* by --config */
	daemon_fn *daemon;
};

struct command {
	const char *name;
	const char *summary; /* one line of the overview */
	const char *help;    /* what --help prints: fits 24 lines of 80 columns */
	int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct command *const commands[]; /* NULL-terminated, in the order of the overview */

extern const struct command run_command, pause_command, resume_command, register_command,
    status_command, set_threshold_command, config_command, models_command, engines_command,
    version_command, help_command;

int cli_main(int argc, char **argv, daemon_fn *daemon);

/* For commands: load and say what is wrong on stderr; an exit code. */
int cli_load(const struct cli *cli, struct config *c);
int cli_load_identity(const struct config *c, struct identity *id);
int cli_fail(int code, const struct err *e); /* prints e, returns code */
/* A copy fit for a terminal: what a studio said must not drive it. free() it. */
char *cli_clean(const char *text);
const struct command *command_find(const char *name);

#endif
