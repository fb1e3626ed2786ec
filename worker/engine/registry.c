/* registry.c - see registry.h. The table is all that knows which engines there are.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

extern const struct engine_ops synthetic_engine;
extern const struct engine_ops espeak_ng_engine;
extern const struct engine_ops onnx_engine;
extern const struct engine_ops sd_cpp_engine;
extern const struct engine_ops llama_cpp_engine;
extern const struct engine_ops whisper_cpp_engine;
extern const struct engine_ops pocketsphinx_engine;
extern const struct engine_ops piper_engine;

static const struct engine_ops *const table[] = {
    &synthetic_engine,	 &espeak_ng_engine,    &onnx_engine,  &sd_cpp_engine, &llama_cpp_engine,
    &whisper_cpp_engine, &pocketsphinx_engine, &piper_engine, NULL,
};

struct engines {
	struct engine **items;
	size_t n;
};

struct engines *engines_new(const struct engine_env *env)
{
	return engines_new_from(env, table);
}

struct engines *engines_new_from(const struct engine_env *env, const struct engine_ops *const *ops)
{
	struct engines *es = xcalloc(1, sizeof *es);
	for (size_t n = 0; ops[n]; n++) {
		es->items = xrealloc(es->items, (n + 1) * sizeof(*es->items));
		es->items[n] = ops[n]->new (env);
		es->n = n + 1;
	}
	return es;
}

void engines_free(struct engines *es)
{
	if (!es)
		return;
	for (size_t i = 0; i < es->n; i++)
		es->items[i]->ops->free(es->items[i]);
	free(es->items);
	free(es);
}

static struct engine *find(struct engines *es, const char *name)
{
	for (size_t i = 0; i < es->n; i++) {
		if (strcmp(es->items[i]->ops->name, name) == 0)
			return es->items[i];
	}
	return NULL;
}

static int unknown(const struct engines *es, const char *name, struct err *err)
{
	struct buf have;
	bool ok = true;
	buf_init(&have, 256);
	for (size_t i = 0; i < es->n && ok; i++)
		ok = buf_printf(&have, "%s%s", i ? ", " : "", es->items[i]->ops->name);
	err_set(err, ENOTSUP,
		"engine '%.64s' is not part of this build (have: %s); install a build that has it",
		name, have.len ? have.data : "none");
	buf_fini(&have);
	return -ENOTSUP;
}

static int wrong_kind(const struct engine_ops *ops, enum kind kind, struct err *err)
{
	struct buf does;
	bool ok = true;
	buf_init(&does, 128);
	for (int k = 0; k < KIND_COUNT && ok; k++) {
		if (ops->kinds & KIND_BIT(k))
			ok = buf_printf(&does, "%s%s", does.len ? ", " : "",
					kind_name((enum kind)k));
	}
	err_set(err, ENOTSUP,
		"engine '%s' does not do %s (it does: %s); correct the model's modelSource.engine",
		ops->name, kind_name(kind), does.len ? does.data : "nothing");
	buf_fini(&does);
	return -ENOTSUP;
}

/* What is advertised is what can run now: the one answer to "is its program there". */
static bool ready(struct engine *e, enum kind kind)
{
	struct capabilities *c = capabilities_new();
	e->ops->advertise(e, c);
	bool yes = c->kinds & KIND_BIT(kind);
	capabilities_free(c);
	return yes;
}

struct engine *engines_route(struct engines *es, const char *name, enum kind kind, struct err *err)
{
	struct engine *e = find(es, name);
	if (!e) {
		unknown(es, name, err);
		return NULL;
	}
	if (!(e->ops->kinds & KIND_BIT(kind))) {
		wrong_kind(e->ops, kind, err);
		return NULL;
	}
	if (!ready(e, kind)) {
		struct engine_info info = {NULL, NULL, NULL};
		e->ops->info(e, false, &info);
		err_set(err, ENOENT, "engine '%s' can't do %s here: %s", name, kind_name(kind),
			info.missing ? info.missing : "something it needs is missing");
		return NULL;
	}
	return e;
}

const struct engine_ops *engines_ops(struct engines *es, const char *name)
{
	struct engine *e = find(es, name);
	return e ? e->ops : NULL;
}

void engines_advertise(struct engines *es, struct capabilities *c)
{
	for (size_t i = 0; i < es->n; i++)
		es->items[i]->ops->advertise(es->items[i], c);
}

size_t engines_count(const struct engines *es)
{
	return es->n;
}

struct engine *engines_at(struct engines *es, size_t i)
{
	return es->items[i];
}

int engines_helper(int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && table[i]; i++)
		if (strcmp(table[i]->name, argv[0]) == 0 && table[i]->helper)
			return table[i]->helper(argc - 1, argv + 1);
	fputs("studio-worker: engine-helper is started by the worker itself\n", stderr);
	return 2;
}

const char *engine_job_file(const struct engine_job *job, const char *role)
{
	for (size_t i = 0; job->files && i < job->source->n_files; i++)
		if (strcmp(job->source->files[i].role, role) == 0)
			return job->files[i];
	return NULL;
}
