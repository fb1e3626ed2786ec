/* ids.h - the ids people type: a beginning that fits one of them only is enough.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_IDS_H
#define CLI_IDS_H

#include "studio/cli/client.h"

/* 0 with the whole id (free() it), else the exit code after saying what is wrong with `given`: no
 * job has it, or several begin with it. */
int ids_find_job(struct client *c, const char *given, char **id) MUST_CHECK;
/* Of a request to be let in. One that begins nothing in the list comes back as it was given: the
 * studio knows those that were answered, too. */
int ids_find_request(struct client *c, const char *given, char **id) MUST_CHECK;

#endif
