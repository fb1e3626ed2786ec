/* serve.h - the helper process of the engine `onnx`: a small HTTP server that holds one model, so
 * that a crash inside ONNX Runtime is a failed job and the model stays loaded between jobs.
 *
 *   engine-helper onnx --library LIB --model FILE --port N --key FILE
 *
 *   GET /health       {"version": "1.20.1"}; the port opens when the model is loaded
 *   POST /inpaint     {image, mask, output, ext}: paths; {} when `output` is written,
 *                     {"error", "message"} otherwise
 *
 * Both need the key as bearer.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_ONNX_SERVE_H
#define ENGINE_ONNX_SERVE_H

/* Until a signal ends it. An exit code. */
int onnx_serve(int argc, char **argv);

#endif
