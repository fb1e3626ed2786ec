/* refusal.h - the error object of llama-server.
 * SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_REFUSAL_H
#define LLAMA_CPP_REFUSAL_H

#include "worker/engine/llama-cpp/answer.h"

/* status: of the answer; 200 for an error in the middle of a stream. REFUSED or BROKEN, with e
 * filled. */
enum answer_state refusal_read(int status, const json_t *error, struct err *e);

#endif
