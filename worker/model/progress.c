/* progress.c - progress for people; see store.h.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "worker/model/part.h"
#include "worker/model/store.h"

/* "1.2 of 4.9 GB", or with both units when they differ. */
static void amount(const struct store_progress *p, char out[64])
{
	char done[24], total[24];
	part_size_text(p->done, done);
	part_size_text(p->total, total);
	char *unit = strchr(done, ' '), *whole = strchr(total, ' ');
	if (!p->total) {
		snprintf(out, 64, "%s", done);
		return;
	}
	if (unit && whole && strcmp(unit, whole) == 0)
		*unit = '\0';
	snprintf(out, 64, "%s of %s", done, total);
}

void store_progress_text(const struct store_progress *p, char *out, size_t size)
{
	char sizes[64], rate[24], left[32];
	struct buf b;
	buf_init(&b, 4096);
	amount(p, sizes);
	bool ok = buf_printf(&b, "%s%s %s", p->verifying ? "verifying " : "", p->filename, sizes);
	if (ok && p->rate) {
		part_size_text(p->rate, rate);
		ok = buf_printf(&b, ", %s/s", rate);
	}
	if (ok && p->eta_s >= 0) {
		time_format_duration((uint64_t)p->eta_s * 1000, left);
		ok = p->eta_s < 60 ? buf_printf(&b, ", %" PRId64 " s left", p->eta_s)
				   : buf_printf(&b, ", %s left", left);
	}
	snprintf(out, size, "%s", ok ? b.data : "");
	utf8_cut(out, size - 1);
	buf_fini(&b);
}
