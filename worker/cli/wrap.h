/* wrap.h - labelled text that fits 80 columns.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_WRAP_H
#define CLI_WRAP_H

#include <stdio.h>

/* The label in a column of `width`, a space, and the text beside it, broken at spaces. What a peer
 * said can't drive the terminal. */
void wrap_print(FILE *out, const char *label, int width, const char *text);

#endif
