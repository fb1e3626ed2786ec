/* cli.c - finds the command and runs it.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "worker/cli/args.h"

const struct command *const commands[] = {
    &run_command,      &status_command,	 &pause_command,	 &resume_command,
    &register_command, &config_command,	 &set_threshold_command, &models_command,
    &engines_command,  &version_command, &help_command,		 NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

char *cli_clean(const char *text)
{
	char *safe = xstrdup(text ? text : "");
	utf8_clean(safe);
	return safe;
}

int cli_fail(int code, const struct err *e)
{
	auto_free char *safe = cli_clean(e->text);
	fprintf(stderr, "studio-worker: %s\n", safe);
	return code;
}

int cli_load(const struct cli *cli, struct config *c)
{
	struct err e = ERR_INIT;
	*c = (struct config){0};
	return config_load(c, cli->config_path, NULL, &e) < 0 ? cli_fail(EXIT_CONFIG, &e) : EXIT_OK;
}

int cli_load_identity(const struct config *c, struct identity *id)
{
	struct err e = ERR_INIT;
	*id = (struct identity){0};
	return identity_load(id, c, &e) < 0 ? cli_fail(EXIT_CONFIG, &e) : EXIT_OK;
}

static const char *next_command(const void *list, size_t i)
{
	const struct command *const *all = list;
	return all[i] ? all[i]->name : NULL;
}

static int unknown_command(const char *word)
{
	const char *near = args_nearest(word, next_command, commands);
	if (word[0] == '-')
		fprintf(stderr, "studio-worker: unknown option %s before the command", word);
	else
		fprintf(stderr, "studio-worker: unknown command %s", word);
	if (near && word[0] != '-')
		fprintf(stderr, "; did you mean %s?\n", near);
	else
		fprintf(stderr, "; see `studio-worker help`\n");
	return EXIT_USAGE;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* What every command takes, before or after its name, is taken out of argv here. */
struct global {
	const char *config;
	bool help, config_without_value;
};

static void take_globals(struct global *g, int *argc, char **argv)
{
	int n = 0, i = 0;
	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--config") == 0) {
			g->config_without_value = i + 1 >= *argc;
			g->config = g->config_without_value ? NULL : argv[++i];
		} else if (strncmp(argv[i], "--config=", 9) == 0) {
			g->config = argv[i] + 9;
		} else if (is_help(argv[i])) {
			g->help = true;
		} else {
			argv[n++] = argv[i];
		}
	}
	for (; i < *argc; i++)
		argv[n++] = argv[i];
	*argc = n;
}

static const char *command_name(int argc, char **argv, bool help)
{
	if (argc == 0)
		return "help";
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0)
		return "version";
	(void)help;
	return argv[0];
}

int cli_main(int argc, char **argv, daemon_fn *daemon)
{
	struct global g = {0};
	argc = argc > 0 ? argc - 1 : 0;
	argv++;
	take_globals(&g, &argc, argv);
	if (g.config_without_value || (g.config && !g.config[0])) {
		fprintf(stderr, "studio-worker: --config needs the path of a config.toml\n");
		return EXIT_USAGE;
	}
	const char *name = command_name(argc, argv, g.help);
	const struct command *command = command_find(name);
	if (!command)
		return unknown_command(name);
	if (g.help && command != &help_command) {
		fputs(command->help, stdout);
		return EXIT_OK;
	}
	auto_free char *path = g.config ? xstrdup(g.config) : config_default_path();
	struct cli cli = {.config_path = path, .config_named = g.config, .daemon = daemon};
	int code = command->run(&cli, argc > 0 ? argc - 1 : 0, argv + 1);
	if (fflush(stdout) != 0 && code == EXIT_OK)
		code = EXIT_FAILED;
	return code;
}
