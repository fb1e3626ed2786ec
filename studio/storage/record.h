/* record.h - what the storages share about rows; storage.h declares the copies.
 * SPDX-License-Identifier: MIT */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include "studio/storage/storage.h"

#define LOG_KEEP 20000 /* rows a worker */

void job_move_copy(struct job_move *to, const struct job_move *from);
void job_move_fini(struct job_move *m);
bool job_move_allowed(const struct job_move *m, const struct job_record *j);
void job_move_apply(const struct job_move *m, struct job_record *j);

#endif
