/* prebuilt_install.h - from a fetched archive to programs that can be found, whole or not at all.
 * All of it blocks: pool work. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_PREBUILT_INSTALL_H
#define SD_CPP_PREBUILT_INSTALL_H

#include <stdatomic.h>

#include "lib/base/err.h"

struct installation {
	char *bin;     /* models_root/bin */
	char *temp;    /* a folder in it, ours while the lock is held */
	char *archive; /* in temp */
	int lock;      /* -1: not held */
};
/* Makes bin and temp and takes the lock; what an earlier life left is removed. -EBUSY while another
 * one installs. */
int installation_begin(struct installation *i, const char *models_root, struct err *e) MUST_CHECK;
/* Verifies and unpacks the archive, and puts the programs in their place. */
int installation_finish(struct installation *i, const char *sha256, const atomic_bool *stop,
			struct err *e) MUST_CHECK;
void installation_end(struct installation *i); /* removes temp, frees the lock */

#endif
