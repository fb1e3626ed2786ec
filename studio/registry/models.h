/* models.h - the studio's model registry: seeds, and JSON to model_record and back.
 * SPDX-License-Identifier: MIT */
#ifndef REGISTRY_MODELS_H
#define REGISTRY_MODELS_H

#include "studio/storage/storage.h"

/* {id, kind, enabled?, vramGbEstimate?, modelSource, defaults?}. -EINVAL names the field. Fini with
 * model_record_fini. */
int model_decode(const char *id, json_t *json, struct model_record *out, struct err *e) MUST_CHECK;
json_t *model_encode(const struct model_record *m); /* new reference */
/* Puts the synthetic models and the espeak voice where they are missing; an operator's entry of the
 * same id stays. *s is the caller's and stays until the storage is closed. */
struct seeding {
	struct storage *storage;
	struct log *log;
};
void models_seed(struct seeding *s);

/* ---- what a front door checks, shared by models and jobs; -EINVAL names the field ---- */
bool model_id_valid(const char *id); /* 1 to 200 bytes, no spaces, control characters or slashes */
/* An object that has no other keys than the known ones (NULL-terminated). */
int json_known_fields(json_t *json, const char *const *known, struct err *e) MUST_CHECK;
int vram_decode(json_t *json, double *out, struct err *e) MUST_CHECK;
int source_check(json_t *json, struct err *e) MUST_CHECK; /* a `modelSource` */

#endif
