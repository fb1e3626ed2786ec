/* registry.h - the engines of this build, and which one serves a job.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_REGISTRY_H
#define ENGINE_REGISTRY_H

#include "worker/engine/engine.h"

struct engines;

/* All engines of the table in registry.c. */
struct engines *engines_new(const struct engine_env *env);
/* Those of a table given by the caller (tests); ops is NULL-terminated. */
struct engines *engines_new_from(const struct engine_env *env, const struct engine_ops *const *ops);
void engines_free(struct engines *es);
/* The engine for a modelSource.engine and kind. NULL with err naming the remedy: an engine this
 * build never heard of, one that lacks its program, a kind it does not serve. There is no fallback.
 */
struct engine *engines_route(struct engines *es, const char *engine, enum kind kind,
			     struct err *err) MUST_CHECK;
/* Of a modelSource.engine; NULL: not of this build. */
const struct engine_ops *engines_ops(struct engines *es, const char *engine);
void engines_advertise(struct engines *es, struct capabilities *c);
size_t engines_count(const struct engines *es);
struct engine *engines_at(struct engines *es, size_t i);
/* What `engine-helper NAME ...` does, argv[0] being the name. An exit code. */
int engines_helper(int argc, char **argv);

#endif
