/* step.h - one changing step on the disk, asked of fs_fault first. Private to lib/fs.
 * SPDX-License-Identifier: MIT */
#ifndef FS_STEP_H
#define FS_STEP_H

#include "lib/fs/fs.h"

/* 0 to go on, or the errno that the step shall fail with. */
static inline int fs_step(const char *step, const char *path)
{
	return fs_fault ? fs_fault(step, path) : 0;
}

/* The folder that holds path ("." for a bare name, "/" for "/x"); free() it. */
char *fs_dirname(const char *path);

#endif
