/* sweep.h - removes results on disk that no job refers to: of uploads that a crash cut between the
 * bytes and the job. Only what was there at the start is looked at, and only once every upload
 * under way then has long ended. SPDX-License-Identifier: MIT */
#ifndef HUB_SWEEP_H
#define HUB_SWEEP_H

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "studio/blob/blob.h"
#include "studio/storage/storage.h"

struct sweep;
struct sweep *sweep_start(struct clock *clock, struct log *log, struct storage *storage,
			  struct blob_store *blobs);
/* After storage and blobs were closed: their replies would find it gone. NULL allowed. */
void sweep_free(struct sweep *s);

#endif
