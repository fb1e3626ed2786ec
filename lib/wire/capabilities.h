/* capabilities.h - what a worker says of itself (docs/protocol.md, section 3).
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_CAPABILITIES_H
#define WIRE_CAPABILITIES_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/wire/kind.h"

enum presence { PRESENCE_UNKNOWN, PRESENCE_IDLE, PRESENCE_ACTIVE };

struct string_set { /* sorted, without duplicates */
	char **items;
	size_t n;
};

struct capabilities {
	char *machine_name, *username, *agent_version, *engine;
	double vram_total_gb, vram_threshold_gb;
	bool auto_enabled, auto_start, auto_update, start_minimised, only_when_idle;
	unsigned kinds;		  /* KIND_BITs of the known ones */
	struct string_set models; /* union of all kinds */
	struct string_set per_kind[KIND_COUNT];
	enum presence presence;
};

struct capabilities *capabilities_new(void);
void capabilities_free(struct capabilities *c); /* NULL allowed */
/* Adds to the kind's set and to the union, and sets the kind's bit. */
void capabilities_add_model(struct capabilities *c, enum kind k, const char *model);
bool string_set_has(const struct string_set *s, const char *item);
json_t *capabilities_encode(const struct capabilities *c); /* new reference */
/* Unknown kinds are skipped; caps: 4,096 models, names 512 bytes. -EPROTO names the field. */
int capabilities_decode(json_t *json, struct capabilities **out, struct err *e) MUST_CHECK;

#endif
