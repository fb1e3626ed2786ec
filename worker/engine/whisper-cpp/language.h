/* language.h - the languages whisper knows: their codes, their names, and what else people write.
 * SPDX-License-Identifier: MIT */
#ifndef WHISPER_CPP_LANGUAGE_H
#define WHISPER_CPP_LANGUAGE_H

#include <stdbool.h>

/* The code of a language given as a code ("de"), a tag ("de-AT", "zh_Hans"), an English name
 * ("german") or another name of it ("flemish"), whatever the case; "auto" for "auto", "" and NULL.
 * NULL when whisper does not know it. */
const char *language_code(const char *s);
/* Written without blanks between words. */
bool language_unspaced(const char *code);

#endif
