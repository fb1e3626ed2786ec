/* program.h - the programs that engines run: where they are, and which version.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_PROGRAM_H
#define ENGINE_PROGRAM_H

#include <stddef.h>

/* Looks for an executable, in this order: $STUDIO_WORKER_<NAME> (espeak-ng:
 * STUDIO_WORKER_ESPEAK_NG; when it is set, nothing else counts), models_root/bin, ~/.local/bin,
 * $PATH. An absolute path to free(), NULL when there is none. models_root may be NULL. */
char *engine_program_find(const char *name, const char *models_root);
/* As above, but keeps *path while it can still be executed: cheap enough for every heartbeat. */
void engine_program_refresh(char **path, const char *name, const char *models_root);
/* First line that `path flag` prints, within 500 ms; "" when it says nothing. Blocks: for
 * engine_ops.info, which no running session calls. */
void engine_program_version(const char *path, const char *flag, char *out, size_t size);

#endif
