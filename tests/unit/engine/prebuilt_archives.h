/* prebuilt_archives.h - a folder of archives, good and hostile, made by tests/fake/archives.py.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_PREBUILT_ARCHIVES_H
#define TESTS_PREBUILT_ARCHIVES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* dir ends with XXXXXX. */
static inline int archives_make(char *dir)
{
	static const char here[] = __FILE__;
	const char *tests = strstr(here, "unit/engine/");
	if (!mkdtemp(dir) || !tests)
		return -1;
	auto_free char *command =
	    xasprintf("python3 '%.*sfake/archives.py' '%s'", (int)(tests - here), here, dir);
	return system(command);
}

#endif
