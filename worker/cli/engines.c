/* engines.c - `studio-worker engines`: what this machine can run.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"
#include "worker/engine/registry.h"

static void print_kinds(unsigned kinds)
{
	for (int k = 0, n = 0; k < KIND_COUNT; k++)
		if (kinds & KIND_BIT(k))
			printf("%s%s", n++ ? ", " : "", kind_name((enum kind)k));
	puts("");
}

static void print_engine(struct engine *e)
{
	struct engine_info info = {0};
	e->ops->info(e, &info);
	printf("%-12s %s\n", e->ops->name, info.missing ? "missing" : "ready");
	printf("    %s\n    kinds: ", e->ops->summary);
	print_kinds(e->ops->kinds);
	if (info.version)
		printf("    version: %s%s%s\n", info.version, info.path ? ", " : "",
		       info.path ? info.path : "");
	if (info.missing)
		printf("    %s\n", info.missing);
}

static int print_all(const struct config *c)
{
	struct loop loop;
	struct log log;
	struct err e = ERR_INIT;
	if (loop_init(&loop, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	log_init(&log, &loop.clock);
	struct engine_env env = {
	    .loop = &loop,
	    .clock = &loop.clock,
	    .pool = &loop.pool,
	    .log = &log,
	    .models_root = c->options.models_root,
	};
	struct engines *engines = engines_new(&env);
	for (size_t i = 0; i < engines_count(engines); i++)
		print_engine(engines_at(engines, i));
	engines_free(engines);
	loop_fini(&loop);
	return EXIT_OK;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct config c;
	if (!args_parse("engines", NULL, 0, &argc, argv) ||
	    !args_count("engines", argc, argv, 0, "studio-worker engines"))
		return EXIT_USAGE;
	int code = cli_load(cli, &c);
	if (code == EXIT_OK)
		code = print_all(&c);
	config_fini(&c);
	return code;
}

const struct command engines_command = {
    .name = "engines",
    .summary = "list the engines and what they lack",
    .help = "usage: studio-worker engines\n"
	    "\n"
	    "Lists every engine of this build: whether it is ready, which kinds of job it\n"
	    "serves, its version and path, or what is missing and how to get it.\n",
    .run = run,
};
