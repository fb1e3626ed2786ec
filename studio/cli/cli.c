/* cli.c - the command line of studiod: global options, then a command.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/cli/cli.h"

#define GLOBALS	 3
#define ROWS_MAX 48

static int run_version(struct invocation *in);
static int run_help(struct invocation *in);

static const struct command version_command = {
    .name = "version",
    .summary = "print the version",
    .help = "usage: studiod version\n\nPrints the version.\n",
    .run = run_version,
};
static const struct command help_command = {
    .name = "help",
    .summary = "print this, or the help of a command",
    .help = "usage: studiod help [COMMAND]\n\nPrints the help of studiod or of a command.\n",
    .run = run_help,
};

static const struct command *const commands[] = {
    &serve_command,  &workers_command, &approve_command, &reject_command,
    &submit_command, &jobs_command,    &version_command, &help_command,
};

static void print_help(void)
{
	fputs("usage: studiod [--config FILE] [--data DIR] [--listen ADDR:PORT] COMMAND ...\n"
	      "\n"
	      "A studio: admits workers, queues jobs, offers them, keeps the results.\n"
	      "\n"
	      "commands:\n",
	      stdout);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "with every command, before or after it:\n"
	      "  --config FILE       options; default ~/.config/studiod/config.toml if there\n"
	      "  --data DIR          data folder; default ~/.local/share/studiod\n"
	      "  --listen ADDR:PORT  where serve listens; default 127.0.0.1:8787\n"
	      "\n"
	      "exit codes: 0 fine, 1 failed, 2 wrong usage, 3 no studio runs, 4 a job failed\n"
	      "'studiod COMMAND --help' says more about a command, 'man studiod' the most.\n",
	      stdout);
}

static const struct command *find_command(const char *name)
{
	const char *names[ARRAY_LEN(commands)], *near;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		names[i] = commands[i]->name;
	}
	near = nearest_word(name, names, ARRAY_LEN(names));
	fprintf(stderr, "studiod: unknown command %s", name);
	if (near)
		fprintf(stderr, "; did you mean %s?", near);
	fputs("\nTry 'studiod --help'.\n", stderr);
	return NULL;
}

static int run_version(struct invocation *in)
{
	if (in->argc) {
		fputs("studiod: version takes no arguments\n", stderr);
		return EXIT_USAGE;
	}
	puts("studiod " PROGRAM_VERSION);
	return EXIT_OK;
}

static int run_help(struct invocation *in)
{
	const struct command *c;

	if (!in->argc) {
		print_help();
		return EXIT_OK;
	}
	c = find_command(in->argv[0]);
	if (!c)
		return EXIT_USAGE;
	fputs(c->help, stdout);
	return EXIT_OK;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* The command line wins over the file. */
static int override(struct settings *s, const char *data, const char *listen, struct err *e)
{
	int rc = 0;

	if (data)
		rc = settings_put(s, "data_dir", data, e);
	if (rc == 0 && listen)
		rc = settings_put(s, "listen", listen, e);
	return rc;
}

bool invocation_read(struct invocation *in, const char *of, const struct option_row *rows, size_t n)
{
	struct option_row all[ROWS_MAX] = {
	    {"--config", &in->config, NULL},
	    {"--data", &in->data, NULL},
	    {"--listen", &in->listen, NULL},
	};
	auto_free char *name = xasprintf("studiod %s", of);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		all[GLOBALS + i] = rows[i];
	if (!options_read(name, all, GLOBALS + n, false, &in->argc, in->argv))
		return false;
	if (settings_load(in->settings, in->config, &e) == 0 &&
	    override(in->settings, in->data, in->listen, &e) == 0)
		return true;
	fprintf(stderr, "studiod: %s\n", e.text);
	return false;
}

int cli_main(int argc, char **argv, serve_fn *serve)
{
	struct settings settings = {0};
	struct invocation in = {.settings = &settings, .serve = serve};
	bool help = false, version = false;
	const struct option_row rows[] = {
	    {"--config", &in.config, NULL},
	    {"--data", &in.data, NULL},
	    {"--listen", &in.listen, NULL},
	    {"--help", NULL, &help},
	    {"-h", NULL, &help},
	    {"--version", NULL, &version},
	};
	const struct command *c;
	int code;

	argc--;
	argv++;
	if (!options_read("studiod", rows, ARRAY_LEN(rows), true, &argc, argv))
		return EXIT_USAGE;
	if (version && !help) {
		puts("studiod " PROGRAM_VERSION);
		return EXIT_OK;
	}
	if (help || !argc) {
		print_help();
		return EXIT_OK;
	}
	c = find_command(argv[0]);
	if (!c)
		return EXIT_USAGE;
	if (wants_help(argc - 1, argv + 1)) {
		fputs(c->help, stdout);
		return EXIT_OK;
	}
	in.argc = argc - 1;
	in.argv = argv + 1;
	code = c->run(&in);
	settings_fini(&settings);
	return code;
}
