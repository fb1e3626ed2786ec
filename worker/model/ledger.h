/* ledger.h - what a half downloaded file holds, kept beside it so that a crash costs little.
 *
 * The file has two slots that are written in turn, each with a sequence number and a SHA-256 of
 * its own: a torn write leaves the other one. A slot makes two claims:
 *   synced:  bytes that were on the disk (fdatasync came back) before the slot was written;
 *   written: bytes the kernel had taken. They outlive this program but not the kernel, so they
 *            count only while it is the boot the slot names.
 * SPDX-License-Identifier: MIT */
#ifndef MODEL_LEDGER_H
#define MODEL_LEDGER_H

#include <stdint.h>

#include "lib/base/err.h"
#include "worker/model/extents.h"

#define LEDGER_SLOT_BYTES 16384
#define LEDGER_URL_MAX	  4096
#define LEDGER_TAG_MAX	  512 /* a longer ETag is not kept */

struct ledger {
	char url[LEDGER_URL_MAX + 1]; /* as the offer gave it; "sha256:…" of a longer one */
	char etag[LEDGER_TAG_MAX + 1], modified[LEDGER_TAG_MAX + 1]; /* "": the server gave none */
	char sha256[65];					     /* "": not asked for */
	char boot[40];
	uint64_t seq, total;
	struct extents written, synced;
};

void ledger_set_url(struct ledger *l, const char *url);
bool ledger_has_url(const struct ledger *l, const char *url);

/* The slot's text, without padding. Its length, 0 when it does not fit or a text has a line break.
 */
size_t ledger_encode(const struct ledger *l, char out[LEDGER_SLOT_BYTES]);
/* -EPROTO for what is no slot. */
int ledger_decode(const char *text, size_t len, struct ledger *l, struct err *e) MUST_CHECK;

/* The newer good slot of the file. -ENOENT when there is no file, -EPROTO when neither is good.
 * Blocks. */
int ledger_load(const char *path, struct ledger *l, struct err *e) MUST_CHECK;
/* Writes the next slot (l->seq + 1); `sync`: and waits until it is on the disk. fd: of
 * ledger_open(). Blocks. */
int ledger_save(int fd, const char *path, struct ledger *l, bool sync, struct err *e) MUST_CHECK;
int ledger_open(const char *path, struct err *e)
    MUST_CHECK; /* made when missing, for the owner alone: addresses may hold keys. Blocks */
/* This boot's name, "" where the system has none: then only synced bytes count. */
void ledger_boot(char out[40]);

#endif
