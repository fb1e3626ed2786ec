/* serving.h - why nobody takes a job, as far as the list of workers tells.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "studio/cli/client.h"

/* A line for people, free() it; NULL when the studio did not answer. */
char *serving_obstacle(struct client *c, const json_t *job);

#endif
