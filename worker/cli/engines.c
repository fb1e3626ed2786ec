/* engines.c - `studio-worker engines`: what this machine can run.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/fields.h"
#include "worker/cli/args.h"
#include "worker/cli/cli.h"
#include "worker/cli/parts.h"
#include "worker/cli/wrap.h"
#include "worker/engine/registry.h"

#define NAME_WIDTH 12
#define KIND_WIDTH (NAME_WIDTH + 10)

/* One engine as it is now. */
struct sight {
	const struct engine_ops *ops;
	struct engine_info info;
	struct capabilities *offers; /* the models it would advertise, by kind */
};

/* ---- for people ---- */

static char *join(const struct string_set *models)
{
	struct buf b;
	bool ok = true;
	buf_init(&b, 1u << 16);
	for (size_t i = 0; i < models->n && ok; i++)
		ok = buf_printf(&b, "%s%s", i ? ", " : "", models->items[i]);
	return buf_steal(&b);
}

static void print_models(const struct sight *s)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		if (!(s->offers->kinds & KIND_BIT(k)))
			continue;
		auto_free char *models = join(&s->offers->per_kind[k]);
		auto_free char *label =
		    xasprintf("%*s %s", NAME_WIDTH, "", kind_name((enum kind)k));
		wrap_print(stdout, label, KIND_WIDTH, models[0] ? models : "any model");
	}
}

static void print_engine(const struct sight *s)
{
	const struct engine_info *i = &s->info;
	auto_free char *state = xasprintf("%s%s%s",
					  !s->offers->kinds ? "missing"
					  : i->missing	    ? "in part"
							    : "ready",
					  i->version ? ", " : "", i->version ? i->version : "");
	wrap_print(stdout, s->ops->name, NAME_WIDTH, state);
	wrap_print(stdout, "", NAME_WIDTH, s->ops->summary);
	if (i->path)
		wrap_print(stdout, "", NAME_WIDTH, i->path);
	print_models(s);
	if (i->missing)
		wrap_print(stdout, "", NAME_WIDTH, i->missing);
}

/* ---- for programs ---- */

static json_t *strings(const struct string_set *set)
{
	json_t *a = json_array();
	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(a, json_string(set->items[i]));
	return a;
}

static json_t *kinds_json(unsigned kinds)
{
	json_t *a = json_array();
	for (int k = 0; k < KIND_COUNT; k++)
		if (kinds & KIND_BIT(k))
			json_array_append_new(a, json_string(kind_name((enum kind)k)));
	return a;
}

static json_t *to_json(const struct sight *s)
{
	json_t *o = json_object(), *models = json_object();
	json_set_text(o, "name", s->ops->name);
	json_set_text(o, "summary", s->ops->summary);
	json_object_set_new(o, "ready", json_boolean(s->offers->kinds != 0));
	json_object_set_new(o, "kinds", kinds_json(s->ops->kinds));
	json_set_text(o, "version", s->info.version);
	json_set_text(o, "path", s->info.path);
	json_set_text(o, "missing", s->info.missing);
	for (int k = 0; k < KIND_COUNT; k++)
		if (s->offers->kinds & KIND_BIT(k))
			json_object_set_new(models, kind_name((enum kind)k),
					    strings(&s->offers->per_kind[k]));
	json_object_set_new(o, "models", models);
	return o;
}

/* ---- all of them ---- */

static void show(struct engines *engines, bool as_json)
{
	json_t *list = json_array();
	for (size_t i = 0; i < engines_count(engines); i++) {
		struct engine *e = engines_at(engines, i);
		struct sight s = {.ops = e->ops, .offers = capabilities_new()};
		e->ops->info(e, true, &s.info);
		e->ops->advertise(e, s.offers);
		if (as_json)
			json_array_append_new(list, to_json(&s));
		else
			print_engine(&s);
		capabilities_free(s.offers);
	}
	if (as_json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		puts("");
	}
	json_decref(list);
}

static int show_all(const struct config *c, bool as_json)
{
	struct loop loop;
	struct log log;
	struct err e = ERR_INIT;
	struct program_path programs[PROGRAMS_MAX];
	if (loop_init(&loop, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	log_init(&log, &loop.clock);
	parts_programs(programs, &c->options);
	struct engine_env env = {
	    .loop = &loop,
	    .clock = &loop.clock,
	    .pool = &loop.pool,
	    .log = &log,
	    .models_root = c->options.models_root,
	    .programs = programs,
	};
	struct engines *engines = engines_new(&env);
	show(engines, as_json);
	engines_free(engines);
	loop_fini(&loop);
	return EXIT_OK;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct config c;
	bool as_json = false;
	const struct arg args[] = {{"--json", &as_json, NULL}};
	if (!args_parse("engines", args, ARRAY_LEN(args), &argc, argv) ||
	    !args_count("engines", argc, argv, 0, "studio-worker engines [--json]"))
		return EXIT_USAGE;
	int code = cli_load(cli, &c);
	if (code == EXIT_OK)
		code = show_all(&c, as_json);
	config_fini(&c);
	return code;
}

const struct command engines_command = {
    .name = "engines",
    .summary = "list the engines, what they serve and what they lack",
    .help = "usage: studio-worker engines [--json]\n"
	    "\n"
	    "Lists every engine of this build: its version and where it was found, the kinds\n"
	    "of job it serves and the models it offers for each (NAME:* is any model that an\n"
	    "offer brings), or what is missing and how to get it.\n"
	    "\n"
	    "Programs are looked for in this order: the _path keys of config.toml,\n"
	    "$STUDIO_WORKER_<NAME> (STUDIO_WORKER_LLAMA_SERVER, say), models_root/bin,\n"
	    "~/.local/bin, $PATH.\n"
	    "\n"
	    "  --json   an array of {name, summary, ready, kinds, models by kind, version?,\n"
	    "           path?, missing?}\n",
    .run = run,
};
