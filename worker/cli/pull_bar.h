/* pull_bar.h - how far a download is: one line that is drawn again on a terminal, a line now and
 * then elsewhere. SPDX-License-Identifier: MIT */
#ifndef CLI_PULL_BAR_H
#define CLI_PULL_BAR_H

#include <stdbool.h>

#include "worker/model/store.h"

struct pull_bar {
	int fd;
	bool terminal, drawn;
	uint64_t due_ms;     /* no plain line before */
	uint64_t done, told; /* bytes: now, and in the last plain line */
};
void pull_bar_init(struct pull_bar *b, int fd);
void pull_bar_draw(struct pull_bar *b, const struct store_progress *p, uint64_t now_ms);
void pull_bar_end(struct pull_bar *b); /* what follows begins on a line of its own */

#endif
