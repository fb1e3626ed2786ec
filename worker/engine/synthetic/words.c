/* words.c - see words.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/words.h"

#include "lib/base/mem.h"

static const char *const who[] = {
    "The lighthouse keeper",
    "A patient fox",
    "The old cartographer",
    "Every second lantern",
    "The night train",
    "A quiet orchestra",
    "The glass harbour",
    "Someone from the north",
    "The smallest comet",
    "A clockmaker",
    "The river",
    "An empty theatre",
};
static const char *const does[] = {
    "remembers",  "carries", "paints", "follows", "has been counting", "repairs",
    "listens to", "keeps",   "trades", "hides",	  "answers",	       "collects",
};
static const char *const what[] = {
    "the colour of rain",     "seven forgotten songs",	   "a map without edges",
    "the last warm stone",    "letters nobody sent",	   "the shape of the wind",
    "a borrowed silence",     "two kinds of light",	   "an unfinished bridge",
    "the names of the tides", "a garden under the stairs", "the sound of snow",
};
static const char *const when[] = {
    "until morning",	      "beyond the third hill",	"as if it were easy",
    "while the kettle sings", "for reasons of its own", "and never asks why",
    "in a language of bells", "before anyone notices",	"under a patient sky",
    "again and again",
};

#define PICK(rng, list) ((list)[rng_below((rng), ARRAY_LEN(list))])

bool words_sentence(struct rng *rng, struct buf *b)
{
	const char *gap = b->len ? " " : "", *subject = PICK(rng, who), *verb = PICK(rng, does);
	const char *object = PICK(rng, what), *end = PICK(rng, when);
	if (rng_below(rng, 3) == 0)
		return buf_printf(b, "%s%s %s %s.", gap, subject, verb, object);
	return buf_printf(b, "%s%s %s %s %s.", gap, subject, verb, object, end);
}
