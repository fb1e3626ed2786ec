/* show_config.c - `studio-worker config`.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"
#include "worker/config/options.h"

static void print_row(const struct option *opt, const struct options *o,
		      const struct options *defaults)
{
	auto_free char *value = option_format(opt, o);
	auto_free char *fallback = option_format(opt, defaults);
	printf("%s = %s\n    %s", opt->key, value, opt->help);
	if (strcmp(value, fallback) != 0)
		printf(" (default %s)", opt->fallback);
	puts("");
}

static void print(const struct config *c)
{
	struct options defaults;
	options_init(&defaults);
	printf("# %s%s\n", c->path, fs_exists(c->path) ? "" : " (not there yet: all defaults)");
	for (size_t i = 0; i < option_count; i++)
		print_row(&option_table[i], &c->options, &defaults);
	options_fini(&defaults);
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct config c;
	if (!args_parse("config", NULL, 0, &argc, argv) ||
	    !args_count("config", argc, argv, 0, "studio-worker config"))
		return EXIT_USAGE;
	int code = cli_load(cli, &c);
	if (code != EXIT_OK)
		return code;
	print(&c);
	config_fini(&c);
	return EXIT_OK;
}

const struct command config_command = {
    .name = "config",
    .summary = "print the path of config.toml and every option",
    .help = "usage: studio-worker config\n"
	    "\n"
	    "Prints the path of config.toml and every option with its value, what it means\n"
	    "and its default. Edit the file with any editor; a running daemon sees it.\n"
	    "\n"
	    "Without --config the file is ~/.config/studio-worker/config.toml\n"
	    "($XDG_CONFIG_HOME is honoured). When that is missing and the config of the\n"
	    "production worker is there (~/.config/minis-studio-worker/config.toml), that\n"
	    "one is used as it is, with the registration it holds; identity.json and state/\n"
	    "are then kept beside it. Do not run both workers on it at the same time.\n",
    .run = run,
};
