/* kind.h - the five kinds of task a studio offers.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_KIND_H
#define WIRE_KIND_H

#include <stdbool.h>

enum kind { KIND_IMAGE, KIND_LLM, KIND_STT, KIND_TTS, KIND_VIDEO, KIND_COUNT };
#define KIND_BIT(k) (1u << (k))

const char *kind_name(enum kind k); /* "image", "llm", "audio_stt", "audio_tts", "video" */
bool kind_parse(const char *s, enum kind *k);
/* A result of bytes travels by HTTP, a JSON one (LLM, STT) in a frame. */
bool kind_is_bytes(enum kind k);

#endif
