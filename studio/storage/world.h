/* world.h - what a null storage's operations do to memory.
 * SPDX-License-Identifier: MIT */
#ifndef STORAGE_WORLD_H
#define STORAGE_WORLD_H

#include "studio/storage/op.h"

/* Applies the operation and fills its reply. */
void world_apply(struct null_world *w, struct op *o);

#endif
