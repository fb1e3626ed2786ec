/* keep.h - the files of a job are kept from other processes: a lock on each that deleting and
 * replacing it need for themselves (quota.h, download.h). All or none, so that no two jobs wait for
 * each other. SPDX-License-Identifier: MIT */
#ifndef MODEL_KEEP_H
#define MODEL_KEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/work.h"

struct keep;
/* ok false: one of the files is gone, or another process is about to change it; look again. Never
 * from inside a call. */
typedef void keep_done(void *arg, bool ok);
/* paths: of name_path(root, ...). Copied. Where no lock can be made (a folder that is read-only)
 * there is none, and that is fine: nobody deletes there. */
struct keep *keep_files(struct pool *pool, const char *root, char *const *paths, size_t n,
			keep_done *done, void *arg);
void keep_drop(struct keep *k); /* also before done(), which then does not come. NULL allowed */

#endif
