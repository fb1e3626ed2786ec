/* request.c - see request.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/whisper-cpp/request.h"

#include "lib/base/mem.h"
#include "worker/engine/whisper-cpp/answer.h"

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

struct fetch *request_send(struct transport *net, const char *base_url, const struct plan *p,
			   const char *prompt, const char *wav, fetch_done *done, void *arg)
{
	auto_free char *url = xasprintf("%s/inference", base_url);
	/* max_len: whole segments, not lines of 60 characters, which come with token times. */
	struct fetch_part parts[] = {
	    {.name = "file",
	     .file_path = wav,
	     .file_name = "audio.wav",
	     .content_type = "audio/wav"},
	    {.name = "response_format", .value = "verbose_json"},
	    {.name = "no_language_probabilities", .value = "true"},
	    {.name = "language", .value = p->language},
	    {.name = "translate", .value = yes(p->translate)},
	    {.name = "vad", .value = yes(p->vad)},
	    {.name = "token_timestamps", .value = yes(p->words)},
	    {.name = "split_on_word", .value = yes(p->words)},
	    {.name = "max_len", .value = "1000000"},
	    {.name = "prompt", .value = prompt ? prompt : ""},
	};
	/* A connection of its own: closing it is how whisper-server hears of a cancellation. */
	struct fetch_request q = {
	    .url = url, .parts = parts, .n_parts = ARRAY_LEN(parts), .unshared = true};
	return fetch_whole(net, &q, ANSWER_MAX_BYTES, done, arg);
}
