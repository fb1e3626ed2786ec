/* serve.c - `studiod serve`: its own options; the wiring is in main.c.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/mem.h"
#include "studio/cli/cli.h"

static int run(struct invocation *in)
{
	const char *level = NULL, *format = NULL;
	const struct option_row rows[] = {{"--log-level", &level, NULL},
					  {"--log-format", &format, NULL}};
	struct err e = ERR_INIT;

	if (!invocation_read(in, "serve", rows, ARRAY_LEN(rows)))
		return EXIT_USAGE;
	if (in->argc) {
		fprintf(
		    stderr,
		    "studiod: serve takes no arguments, found %s\nTry 'studiod serve --help'.\n",
		    in->argv[0]);
		return EXIT_USAGE;
	}
	if ((level && settings_put(in->settings, "log_level", level, &e) < 0) ||
	    (format && settings_put(in->settings, "log_format", format, &e) < 0)) {
		fprintf(stderr, "studiod: %s\n", e.text);
		return EXIT_USAGE;
	}
	return in->serve(in->settings);
}

const struct command serve_command = {
    .name = "serve",
    .summary = "run the studio until SIGTERM or Ctrl-C",
    .help = "usage: studiod [--data DIR] [--listen ADDR:PORT] serve [options]\n"
	    "\n"
	    "Runs the studio in the foreground until SIGTERM or Ctrl-C. The first start makes\n"
	    "the data folder with the database and the admin token (DATA/admin-token, 0600).\n"
	    "Port 0 takes any free port; DATA/address tells where it listens.\n"
	    "\n"
	    "  --log-level SPEC    debug, info, warn or error, also per room: info,hub=debug\n"
	    "  --log-format NAME   human or json; default human on a terminal, else json\n"
	    "\n"
	    "Plain HTTP: on the internet put a proxy in front that terminates TLS.\n",
    .run = run,
};
