/* text.h - questions about a text.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>

/* Also when it is nothing else. */
bool ends_with(const char *s, const char *end);
bool ends_with_any_case(const char *s, const char *end); /* of ASCII letters */

#endif
