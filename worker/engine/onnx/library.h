/* library.h - where ONNX Runtime is on this machine. It is not loaded for that.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_ONNX_LIBRARY_H
#define ENGINE_ONNX_LIBRARY_H

#include "worker/engine/engine.h"

/* The order of engine_program_find(), with "onnxruntime" as the name: the config, then
 * $STUDIO_WORKER_ONNXRUNTIME (each, when set, alone counts), models_root/bin, ~/.local/lib, the
 * system's folders. An absolute path to free(), NULL when there is none. */
char *onnx_library_find(const struct engine_env *env);
/* "1.20.1" from the file's real name, "" when that does not say. out has 32 bytes. */
void onnx_library_version(const char *path, char out[32]);

#endif
