/* screen_engines.h - what `status` says of model files and warm engines.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_SCREEN_ENGINES_H
#define CLI_SCREEN_ENGINES_H

#include <jansson.h>
#include <stdio.h>

/* The object of store_status() and the array of host_status(); NULL prints nothing. label: width of
 * the first column. */
void screen_models(FILE *out, const json_t *models, int label);
void screen_warm(FILE *out, const json_t *warm, int label);

#endif
