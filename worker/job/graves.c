/* graves.c - JSON results that were delivered leave the journal with the next write to it, or after
 * a short while. Nothing is lost when that does not happen: a result found again at the next start
 * waits its ten minutes. SPDX-License-Identifier: MIT */
#include <string.h>

#include "worker/job/internal.h"

#define GRAVES_AFTER_MS 100

static void forget_run(struct disk_op *op)
{
	op->rc = outbox_forget(op->disk->outbox, op->seqs, op->n_seqs, &op->err);
}

static void forget_after(struct disk_op *op)
{
	if (op->rc < 0)
		log_warn(op->disk->jobs->d.log, "job", NULL, "can't forget a delivered result: %s",
			 op->err.text);
}

void graves_flush(struct jobs *j)
{
	struct disk_op *op = disk_op_new(&j->disk, NULL, NULL, NULL);
	graves_hand(j, op);
	disk_submit(op, forget_run, forget_after);
}

static void on_timer(void *arg)
{
	graves_flush(arg);
}

void graves_add(struct jobs *j, uint64_t seq)
{
	if (j->n_graves == j->cap_graves) {
		j->cap_graves = j->cap_graves ? j->cap_graves * 2 : 8;
		j->graves = xrealloc(j->graves, j->cap_graves * sizeof *j->graves);
	}
	j->graves[j->n_graves++] = seq;
	if (!timer_running(&j->forget_timer))
		timer_start(&j->forget_timer, j->d.clock, GRAVES_AFTER_MS, on_timer, j);
}

void graves_hand(struct jobs *j, struct disk_op *op)
{
	op->seqs = steal(&j->graves);
	op->n_seqs = j->n_graves;
	j->n_graves = j->cap_graves = 0;
	timer_stop(&j->forget_timer);
}
