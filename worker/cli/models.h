/* models.h - what `studio-worker models` does, a file each: all return an exit code.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "worker/config/config.h"
#include "worker/model/store.h"

struct pull_request {
	const char *url;
	const char *model, *sha256, *name; /* NULL: not given */
};

int models_list(const struct config *c, bool as_json);
int models_pull(const struct config *c, const struct pull_request *p);
int models_verify(const struct config *c, bool as_json);

/* "model/file", or the file alone at the top of models_root, fit for a terminal. free() it. */
char *models_name(const struct store_entry *entry);

#endif
