/* hold.h - what the store sees of a claim on files; see store.h.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_HOLD_H
#define MODEL_HOLD_H

#include "worker/model/internal.h"

struct hold *hold_of(struct list_node *n);
bool hold_has(const struct hold *h, const char *path); /* or wants it */
void hold_orphan(struct hold *h); /* the store goes: nothing more happens, it is still released */

#endif
