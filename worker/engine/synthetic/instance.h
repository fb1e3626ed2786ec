/* instance.h - the smallest value that a JSON schema accepts, for the usual keywords.
 * SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_INSTANCE_H
#define SYNTHETIC_INSTANCE_H

#include <jansson.h>

/* Knows type, properties, required, items, minItems, enum, const, default, anyOf, oneOf, minimum,
 * minLength; the rest of the schema does not count. Bounded in depth and size, whatever the schema
 * says. New reference, never NULL. */
json_t *instance_of(const json_t *schema);

#endif
