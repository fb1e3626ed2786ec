/* language.c - see language.h.
 * The table is g_lang of whisper.cpp (233fe1f, August 2026): 100 languages, the last since
 * large-v3. The other names are those that OpenAI's whisper takes, and newer or older ISO codes.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/whisper-cpp/language.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

struct language {
	const char code[4], name[16];
};

/* clang-format off */
static const struct language languages[] = {
	{"en", "english"}, {"zh", "chinese"}, {"de", "german"}, {"es", "spanish"},
	{"ru", "russian"}, {"ko", "korean"}, {"fr", "french"}, {"ja", "japanese"},
	{"pt", "portuguese"}, {"tr", "turkish"}, {"pl", "polish"}, {"ca", "catalan"},
	{"nl", "dutch"}, {"ar", "arabic"}, {"sv", "swedish"}, {"it", "italian"},
	{"id", "indonesian"}, {"hi", "hindi"}, {"fi", "finnish"}, {"vi", "vietnamese"},
	{"he", "hebrew"}, {"uk", "ukrainian"}, {"el", "greek"}, {"ms", "malay"},
	{"cs", "czech"}, {"ro", "romanian"}, {"da", "danish"}, {"hu", "hungarian"},
	{"ta", "tamil"}, {"no", "norwegian"}, {"th", "thai"}, {"ur", "urdu"},
	{"hr", "croatian"}, {"bg", "bulgarian"}, {"lt", "lithuanian"}, {"la", "latin"},
	{"mi", "maori"}, {"ml", "malayalam"}, {"cy", "welsh"}, {"sk", "slovak"},
	{"te", "telugu"}, {"fa", "persian"}, {"lv", "latvian"}, {"bn", "bengali"},
	{"sr", "serbian"}, {"az", "azerbaijani"}, {"sl", "slovenian"}, {"kn", "kannada"},
	{"et", "estonian"}, {"mk", "macedonian"}, {"br", "breton"}, {"eu", "basque"},
	{"is", "icelandic"}, {"hy", "armenian"}, {"ne", "nepali"}, {"mn", "mongolian"},
	{"bs", "bosnian"}, {"kk", "kazakh"}, {"sq", "albanian"}, {"sw", "swahili"},
	{"gl", "galician"}, {"mr", "marathi"}, {"pa", "punjabi"}, {"si", "sinhala"},
	{"km", "khmer"}, {"sn", "shona"}, {"yo", "yoruba"}, {"so", "somali"},
	{"af", "afrikaans"}, {"oc", "occitan"}, {"ka", "georgian"}, {"be", "belarusian"},
	{"tg", "tajik"}, {"sd", "sindhi"}, {"gu", "gujarati"}, {"am", "amharic"},
	{"yi", "yiddish"}, {"lo", "lao"}, {"uz", "uzbek"}, {"fo", "faroese"},
	{"ht", "haitian creole"}, {"ps", "pashto"}, {"tk", "turkmen"}, {"nn", "nynorsk"},
	{"mt", "maltese"}, {"sa", "sanskrit"}, {"lb", "luxembourgish"}, {"my", "myanmar"},
	{"bo", "tibetan"}, {"tl", "tagalog"}, {"mg", "malagasy"}, {"as", "assamese"},
	{"tt", "tatar"}, {"haw", "hawaiian"}, {"ln", "lingala"}, {"ha", "hausa"},
	{"ba", "bashkir"}, {"jw", "javanese"}, {"su", "sundanese"}, {"yue", "cantonese"},
};

static const struct language others[] = {
	{"my", "burmese"}, {"es", "castilian"}, {"tl", "fil"}, {"tl", "filipino"},
	{"nl", "flemish"}, {"ht", "haitian"}, {"id", "in"}, {"he", "iw"},
	{"jw", "jv"}, {"lb", "letzeburgesch"}, {"zh", "mandarin"}, {"ro", "moldavian"},
	{"ro", "moldovan"}, {"no", "nb"}, {"pa", "panjabi"}, {"ps", "pushto"},
	{"si", "sinhalese"}, {"ca", "valencian"},
};
/* clang-format on */

static const char *find(const struct language *table, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(table[i].name, s) == 0 || strcasecmp(table[i].code, s) == 0)
			return table[i].code;
	return NULL;
}

static const char *lookup(const char *s)
{
	const char *code = find(languages, ARRAY_LEN(languages), s);
	return code ? code : find(others, ARRAY_LEN(others), s);
}

const char *language_code(const char *s)
{
	char first[16];
	if (!s || !*s || strcasecmp(s, "auto") == 0)
		return "auto";
	const char *code = lookup(s);
	size_t n = strcspn(s, "-_");
	if (code || !s[n] || n >= sizeof first)
		return code;
	memcpy(first, s, n);
	first[n] = '\0';
	/* The region and the script of a tag are nothing to whisper. */
	return n <= 3 ? lookup(first) : NULL;
}

bool language_unspaced(const char *code)
{
	static const char *const list[] = {"zh", "ja", "th", "lo", "my", "yue"};
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (strcmp(list[i], code) == 0)
			return true;
	return false;
}
