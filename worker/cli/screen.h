/* screen.h - the status object as a page for people.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* status: see api/status.h; texts in it come from disk and from the studio and are printed without
 * control characters. */
void screen_print(FILE *out, const json_t *status, int64_t now_ms);

#endif
