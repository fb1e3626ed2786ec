/* parts.h - what the options of the owner mean to the rooms that run engines and keep model files.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include "worker/config/config.h"
#include "worker/engine/engine.h"
#include "worker/host/host.h"
#include "worker/model/store.h"

#define PROGRAMS_MAX 16

/* The programs whose place the owner wrote down; ends with a NULL name. The paths are the options',
 * valid as long. */
void parts_programs(struct program_path out[PROGRAMS_MAX], const struct options *o);
/* The studio's own origin is always allowed. */
void parts_limit_store(struct store *s, const struct options *o);
void parts_limit_host(struct host *h, const struct options *o);
/* GPU memory as peers write it: GiB, 0 when it is no sensible number. */
uint64_t parts_bytes(double gb);

#endif
