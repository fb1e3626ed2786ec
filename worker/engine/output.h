/* output.h - moved to lib/loop, where servers of worker/host log by it too.
 * SPDX-License-Identifier: MIT */
#ifndef ENGINE_OUTPUT_H
#define ENGINE_OUTPUT_H

#include "lib/loop/output.h" // IWYU pragma: export

#endif
