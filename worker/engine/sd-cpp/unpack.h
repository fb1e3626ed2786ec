/* unpack.h - an archive of programs (zip, tar and what compresses it) into an empty folder of ours,
 * by libarchive, which is opened for it alone: linked, it would make an idle worker a quarter
 * larger. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_UNPACK_H
#define SD_CPP_UNPACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/err.h"

struct unpack_limits {
	uint64_t bytes; /* of all files together, unpacked */
	unsigned entries;
};
/* Only plain files, folders, and links to a file beside them; plain relative names, nothing twice.
 * Everything is the owner's alone: 0700 for folders and what can be executed, else 0600. Files are
 * on the disk (fsync) at the end. What is there after an error is of no use. *stop from another
 * thread ends it with -ECANCELED. Blocks. */
int unpack(const char *archive, const char *dir, const struct unpack_limits *l,
	   const atomic_bool *stop, struct err *e) MUST_CHECK;

#endif
