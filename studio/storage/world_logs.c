/* world_logs.c - the logs that the null storage keeps of its workers.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/base/mem.h"
#include "studio/storage/world_parts.h"

static void append_log(struct null_world *w, const struct log_record *l)
{
	struct worker_row *row = world_worker(w, l->worker_id);
	if (!row)
		return;
	if (row->n_logs == LOG_KEEP) {
		log_record_fini(&row->logs[0]);
		memmove(row->logs, row->logs + 1, (LOG_KEEP - 1) * sizeof(*row->logs));
		row->n_logs--;
	}
	if (row->n_logs == row->cap_logs) {
		row->cap_logs = row->cap_logs ? row->cap_logs * 2 : 16;
		row->logs = xrealloc(row->logs, row->cap_logs * sizeof(*row->logs));
	}
	struct log_record *to = &row->logs[row->n_logs++];
	log_record_copy(to, l);
	to->seq = w->next_log++;
}

void world_log_append(struct null_world *w, struct op *o)
{
	for (size_t i = 0; i < o->n_log_rows; i++)
		append_log(w, &o->log_rows[i]);
	o->changed = true;
}

void world_log_list(struct null_world *w, struct op *o)
{
	struct worker_row *row = world_worker(w, o->id);
	for (size_t i = 0; row && i < row->n_logs && o->rows.n < o->limit; i++) {
		if (row->logs[i].seq > o->after_seq)
			log_record_copy(op_add_log(o), &row->logs[i]);
	}
}
