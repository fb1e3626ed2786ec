/* part.h - the steps on the disk of a file that is being downloaded. All of them block: pool work.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_PART_H
#define MODEL_PART_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

int part_open(const char *path, struct err *e) MUST_CHECK; /* made when missing */
int part_write(int fd, const char *path, const void *data, size_t len, uint64_t at,
	       struct err *e) MUST_CHECK;
int part_sync(int fd, const char *path, struct err *e) MUST_CHECK;
/* Renames, only while nothing at all is at `to` (-EEXIST), and syncs the folder. */
int part_place(const char *from, const char *to, struct err *e) MUST_CHECK;
int part_cut(int fd, const char *path, struct err *e) MUST_CHECK; /* to nothing */
/* Fills all of it; fewer bytes than asked for are -EIO. */
int part_read(int fd, const char *path, void *data, size_t len, uint64_t at,
	      struct err *e) MUST_CHECK;
/* Best effort; a missing one is fine. */
void part_unlink(const char *path);
/* -ENOSPC with both numbers unless `need` bytes and a tenth more are free where path is. */
int part_room(const char *dir, const char *what, uint64_t need, struct err *e) MUST_CHECK;
/* "4.9 GB", "12 kB". */
void part_size_text(uint64_t bytes, char out[24]);

#endif
