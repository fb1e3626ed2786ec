/* control.c - see control.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/control.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "worker/api/control.h"
#include "worker/cli/args.h"

static int post(const struct config *c, const char *path, const char *done)
{
	struct err e = ERR_INIT;
	json_t *answer = control_call(c->state_dir, "POST", path, &e);
	if (answer) {
		json_decref(answer);
		puts(done);
		return EXIT_OK;
	}
	if (e.code != ENOENT && e.code != ECONNREFUSED)
		return cli_fail(EXIT_FAILED, &e);
	fprintf(stderr, "studio-worker: no daemon runs for %s; start it with `studio-worker run`\n",
		c->path);
	return EXIT_NO_DAEMON;
}

int cli_post(struct cli *cli, const char *command, int argc, char **argv, const char *path,
	     const char *done)
{
	struct config c;
	auto_free char *usage = xasprintf("studio-worker %s", command);
	if (!args_parse(command, NULL, 0, &argc, argv) ||
	    !args_count(command, argc, argv, 0, usage))
		return EXIT_USAGE;
	config_init(&c, cli->config_path);
	int code = post(&c, path, done);
	config_fini(&c);
	return code;
}
