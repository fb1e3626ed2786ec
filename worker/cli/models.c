/* models.c - `studio-worker models`: the model files on this machine.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"

char *models_name(const struct store_entry *entry)
{
	auto_free char *name =
	    xasprintf("%s%s%s", entry->model, entry->model[0] ? "/" : "", entry->filename);
	return cli_clean(name);
}

static int rm(const struct config *c, const char *name)
{
	struct err e = ERR_INIT;
	if (store_remove(c->options.models_root, name, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	auto_free char *safe = cli_clean(name);
	printf("removed %s\n", safe);
	return EXIT_OK;
}

struct given {
	bool as_json;
	struct pull_request pull;
};

/* The options that belong to another subcommand; NULL: none was given. */
static const char *misplaced(const char *what, const struct given *g)
{
	bool pull = strcmp(what, "pull") == 0;
	if (g->as_json && (pull || strcmp(what, "rm") == 0))
		return "--json";
	if (!pull && (g->pull.model || g->pull.sha256 || g->pull.name))
		return g->pull.model ? "--model" : g->pull.sha256 ? "--sha256" : "--name";
	return NULL;
}

static int usage(const char *what, int argc, const struct given *g)
{
	static const struct {
		const char *name, *usage;
		int words;
	} subs[] = {
	    {"list", "studio-worker models [list] [--json]", 0},
	    {"pull", "studio-worker models pull URL [--model ID] [--name FILE] [--sha256 HEX]", 1},
	    {"rm", "studio-worker models rm MODEL[/FILE]", 1},
	    {"verify", "studio-worker models verify [--json]", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		if (strcmp(what, subs[i].name) != 0)
			continue;
		const char *wrong = misplaced(what, g);
		if (argc == subs[i].words && !wrong)
			return EXIT_OK;
		if (wrong)
			fprintf(stderr, "studio-worker models %s: %s does not go with it\n", what,
				wrong);
		fprintf(stderr, "usage: %s\n", subs[i].usage);
		return EXIT_USAGE;
	}
	fprintf(stderr, "studio-worker models: there is no %s; list, pull, rm or verify\n", what);
	return EXIT_USAGE;
}

static int act(const struct config *c, const char *what, char **words, struct given *g)
{
	switch (what[0]) {
	case 'p':
		g->pull.url = words[0];
		return models_pull(c, &g->pull);
	case 'r':
		return rm(c, words[0]);
	case 'v':
		return models_verify(c, g->as_json);
	default:
		return models_list(c, g->as_json);
	}
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct given g = {0};
	const struct arg args[] = {
	    {"--json", &g.as_json, NULL},
	    {"--model", NULL, &g.pull.model},
	    {"--sha256", NULL, &g.pull.sha256},
	    {"--name", NULL, &g.pull.name},
	};
	struct config c;
	if (!args_parse("models", args, ARRAY_LEN(args), &argc, argv))
		return EXIT_USAGE;
	const char *what = argc ? argv[0] : "list";
	int code = usage(what, argc ? argc - 1 : 0, &g);
	if (code != EXIT_OK)
		return code;
	code = cli_load(cli, &c);
	if (code == EXIT_OK)
		code = act(&c, what, argv + 1, &g);
	config_fini(&c);
	return code;
}

const struct command models_command = {
    .name = "models",
    .summary = "list, fetch, check and remove model files",
    .help = "usage: studio-worker models [list] [--json]\n"
	    "       studio-worker models pull URL [--model ID] [--name FILE] [--sha256 HEX]\n"
	    "       studio-worker models rm MODEL[/FILE]\n"
	    "       studio-worker models verify [--json]\n"
	    "\n"
	    "list    the files below models_root: whose they are, when a job last needed them\n"
	    "pull    downloads a file the way jobs do: ranges side by side, resumed after any\n"
	    "        interruption, verified before it counts. It goes to models_root/ID; ID\n"
	    "        is the model's id at the studio, by default the file's name up to its\n"
	    "        last dot. --name stores it under another name\n"
	    "rm      removes what was downloaded: a model's files, or one of them. What you\n"
	    "        put there yourself is never touched\n"
	    "verify  hashes what was downloaded: good, bad, or unknown where no hash was\n"
	    "        ever given; ends with 1 when a file is bad\n"
	    "\n"
	    "All of it works beside a running daemon. allow_hosts and download_limit_mbps of\n"
	    "config.toml hold here too; pull may reach the host you name, and removes nothing\n"
	    "for models_quota_gb: the daemon does, with its next download.\n",
    .run = run,
};
