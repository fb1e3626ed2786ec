/* identity.h - who this worker is: identity.json (0600) beside config.toml.
 * A production worker's config.toml holds the same five fields; they are imported when
 * identity.json is missing. SPDX-License-Identifier: MIT */
#ifndef CONFIG_IDENTITY_H
#define CONFIG_IDENTITY_H

#include "lib/base/secret.h"
#include "worker/config/config.h"

struct identity {
	char *install_id, *worker_id, *request_id, *rejected_reason; /* NULL: not set */
	struct secret auth_token, registration_secret;
};

int identity_load(struct identity *id, const struct config *c, struct err *e) MUST_CHECK;
/* At the start of the daemon: what a production config.toml holds goes to identity.json, which
 * counts from then on; config.toml stays as it is. 0 also when there is nothing to do. */
int identity_import(const struct identity *id, const struct config *c, struct err *e) MUST_CHECK;
/* config.toml holds secrets, and others than its owner may read it. */
bool identity_exposed(const struct config *c);
/* Whole or not at all, fsynced. */
int identity_save(const struct identity *id, const struct config *c, struct err *e) MUST_CHECK;
/* `register --reset`: clears all five fields (docs/protocol.md, section 2), here and in a
 * production config.toml, and the rejection. */
int identity_reset(struct identity *id, struct config *c, struct err *e) MUST_CHECK;
void identity_fini(struct identity *id);
void identity_copy(struct identity *to, const struct identity *from); /* `to` is empty */
bool identity_same(const struct identity *a, const struct identity *b);
char *identity_path(const struct config *c); /* of identity.json; free() it */
/* Differs when the file was changed or replaced; 0 when there is none. Cheap: nothing is read. */
uint64_t identity_stamp(const struct config *c);
static inline bool identity_approved(const struct identity *id)
{
	return id->worker_id && secret_is_set(&id->auth_token);
}

#endif
