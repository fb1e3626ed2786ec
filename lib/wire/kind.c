/* kind.c - see kind.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/kind.h"

#include <string.h>

static const char *const names[KIND_COUNT] = {
    [KIND_IMAGE] = "image",   [KIND_LLM] = "llm",     [KIND_STT] = "audio_stt",
    [KIND_TTS] = "audio_tts", [KIND_VIDEO] = "video",
};

const char *kind_name(enum kind k)
{
	return (unsigned)k < KIND_COUNT ? names[k] : "unknown";
}

bool kind_parse(const char *s, enum kind *k)
{
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (!strcmp(s, names[i])) {
			*k = (enum kind)i;
			return true;
		}
	}
	return false;
}

bool kind_is_bytes(enum kind k)
{
	return k == KIND_IMAGE || k == KIND_TTS || k == KIND_VIDEO;
}
