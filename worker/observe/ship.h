/* ship.h - the queue of log lines on their way to the studio (docs/protocol.md, section 6).
 * A log sink of level info and above. Bounded to 5,000 entries: the oldest are dropped, and one
 * entry says how many. SPDX-License-Identifier: MIT */
#ifndef OBSERVE_SHIP_H
#define OBSERVE_SHIP_H

#include "lib/base/log.h"

struct ship;
struct ship *ship_new(struct log *log); /* attaches itself */
void ship_free(struct ship *s);
size_t ship_len(const struct ship *s);
/* Takes up to 500 of the oldest lines as a logBatch frame (free() it), NULL when there is none.
 * They stay remembered as "in flight" until ship_confirm() or ship_restore(); one batch at a time.
 */
char *ship_take(struct ship *s);
void ship_confirm(struct ship *s);
void ship_restore(
    struct ship *s); /* back to the front, older first; a no-op when none is in flight */

#endif
