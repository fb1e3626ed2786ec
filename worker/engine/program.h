/* program.h - the programs that engines run: where they are, and which version.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_PROGRAM_H
#define ENGINE_PROGRAM_H

#include <stddef.h>

struct engine_env;

/* Looks for an executable, in this order: env->programs, the owner's config (when it names the
 * program, nothing else counts), $STUDIO_WORKER_<NAME> (espeak-ng: STUDIO_WORKER_ESPEAK_NG; the
 * same), models_root/bin, ~/.local/bin, $PATH. An absolute path to free(), NULL when there is none.
 */
char *engine_program_find(const char *name, const struct engine_env *env);
/* As above, but keeps *path while it can still be executed: cheap enough for every heartbeat. */
void engine_program_refresh(char **path, const char *name, const struct engine_env *env);
/* First line that `path flag` prints, within 500 ms; "" when it says nothing. Blocks: for
 * engine_ops.info, which no running session calls. */
void engine_program_version(const char *path, const char *flag, char *out, size_t size);
/* All that `path flag` prints to stdout and stderr within 5 s, cut at the end of `out`. Blocks
 * likewise. */
void engine_program_output(const char *path, const char *flag, char *out, size_t size);

#endif
