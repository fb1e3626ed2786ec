/* request.h - the one question a whisper-server is asked.
 * SPDX-License-Identifier: MIT */
#ifndef WHISPER_CPP_REQUEST_H
#define WHISPER_CPP_REQUEST_H

#include "lib/net/fetch.h"
#include "worker/engine/whisper-cpp/plan.h"

/* POST base_url/inference with the recording (16 kHz mono WAV, streamed from disk); the answer is
 * verbose_json, as answer.h reads it. prompt may be NULL. */
struct fetch *request_send(struct transport *net, const char *base_url, const struct plan *p,
			   const char *prompt, const char *wav, fetch_done *done, void *arg);

#endif
