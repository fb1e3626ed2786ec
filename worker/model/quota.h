/* quota.h - what the store may delete to make room: what it downloaded itself and what earlier
 * attempts left half done, least recently used first. Everything here blocks, but quota_choose().
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_QUOTA_H
#define MODEL_QUOTA_H

#include "worker/model/record.h"

struct quota_item {
	char *folder, *filename, *path; /* path: of the file, also for a half done one */
	uint64_t bytes;			/* on the disk */
	int64_t used_ms;
	bool half;   /* a .part, with its ledger */
	bool chosen; /* to go */
};
struct quota_plan {
	struct quota_item *items; /* least recently used first */
	size_t n;
	uint64_t bytes; /* of all */
	uint64_t left;	/* of the quota, besides what stays; of quota_choose() */
};

int quota_scan(const char *root, struct quota_plan *p, struct err *e) MUST_CHECK;
void quota_fini(struct quota_plan *p);
/* Chooses what goes so that `more` bytes fit below `quota` (0: no limit), and counts what would
 * stay. needed() says what must stay. -EFBIG: it never fits; -EDQUOT: too much of it is needed now.
 */
int quota_choose(struct quota_plan *p, const char *what, uint64_t quota, uint64_t more,
		 bool (*needed)(void *arg, const char *path), void *arg, struct err *e) MUST_CHECK;
/* Deletes what was chosen; what can't be is skipped. Returns how many bytes went. */
uint64_t quota_evict(const char *root, const struct quota_plan *p);
/* Deletes one file of the store with all that belongs to it. -EBUSY while a process downloads it or
 * a job of any process needs it. */
int quota_delete(const char *root, const char *folder, const char *filename,
		 struct err *e) MUST_CHECK;

#endif
