/* chat.h - an LLM task as a request to llama-server's /v1/chat/completions, checked. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_CHAT_H
#define LLAMA_CPP_CHAT_H

#include <jansson.h>

#include "lib/wire/source.h"
#include "lib/wire/task.h"

#define CHAT_CONTEXT	 8192 /* tokens, when the model's cliDefaults name no contextSize */
#define CHAT_CONTEXT_MIN 128
#define CHAT_CONTEXT_MAX (4 << 20)

/* -EINVAL with what was wrong and what would do. */
int chat_check(const struct task_llm *t, const json_t *defaults, struct err *e) MUST_CHECK;
/* Tokens of cliDefaults.contextSize, else CHAT_CONTEXT. */
int chat_context(const json_t *defaults);
/* The body, compact JSON to free(). Of a task that chat_check() let pass. Streamed, with usage at
 * its end.
 *
 * The task's `reasoning` may be a flag, the name of an effort ("none", "low", …), or an object
 * {enabled, effort, maxTokens}. llama-server has no field of that name: whether a model thinks is
 * its template's matter, told by the template's arguments enable_thinking and reasoning_effort; the
 * budget is thinking_budget_tokens. What chatTemplateKwargs say about them counts more. */
char *chat_request(const struct task_llm *t, const json_t *defaults, const char *model);
/* Bytes of all messages. */
size_t chat_prompt_bytes(const struct task_llm *t);

#endif
