/* words.h - sentences from random numbers: what the synthetic engine has to say.
 * SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_WORDS_H
#define SYNTHETIC_WORDS_H

#include "lib/base/buf.h"
#include "lib/base/rng.h"

/* Appends one sentence with its full stop, and a space in front unless b is empty. */
bool words_sentence(struct rng *rng, struct buf *b) MUST_CHECK;

#endif
