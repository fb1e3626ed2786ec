/* fuzz_model_files.c - what the model store reads back from disk, where anybody may have written:
 * ledgers of downloads and records of files. What decodes is encoded and must decode to the same.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fs/sha256.h"
#include "worker/model/ledger.h"
#include "worker/model/name.h"
#include "worker/model/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_extents(const struct extents *x, uint64_t total)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->spans[i].from >= x->spans[i].to || x->spans[i].to > total ||
		    (i && x->spans[i].from <= x->spans[i - 1].to))
			__builtin_trap();
}

static void try_ledger(const char *text, size_t len)
{
	static struct ledger l, again;
	static char out[LEDGER_SLOT_BYTES];
	struct err e = ERR_INIT;
	if (ledger_decode(text, len, &l, &e)) {
		if (!e.code || l.total || l.written.n)
			__builtin_trap();
		return;
	}
	check_extents(&l.written, l.total);
	check_extents(&l.synced, l.total);
	size_t n = ledger_encode(&l, out);
	/* 0: it has a carriage return, or just no room for canonical numbers. */
	if (n && (ledger_decode(out, n, &again, &e) || memcmp(&l, &again, sizeof l) != 0))
		__builtin_trap();
}

/* No mutation guesses a SHA-256: the sum is put right behind what may be a ledger. */
static void try_summed(const char *text, size_t len)
{
	char hex[SHA256_HEX_LEN];
	if (len == 0 || len > LEDGER_SLOT_BYTES - 100 || memchr(text, 0, len) ||
	    text[len - 1] != '\n' || memmem(text, len, "\nsum ", 5))
		return;
	char *summed = malloc(len + 70);
	sha256_hex(text, len, hex);
	memcpy(summed, text, len);
	memcpy(summed + len, "sum ", 4);
	memcpy(summed + len + 4, hex, 64);
	summed[len + 68] = '\n';
	try_ledger(summed, len + 69);
	free(summed);
}

static void try_record(const char *text, size_t len)
{
	struct record r, again;
	struct err e = ERR_INIT;
	if (record_decode(text, len, &r, &e)) {
		if (!e.code || r.folder)
			__builtin_trap();
		return;
	}
	if (name_check(r.filename, NULL) || strchr(r.folder, '/') || r.folder[0] == '.')
		__builtin_trap();
	char *out = record_encode(&r);
	if (record_decode(out, strlen(out), &again, &e) || again.bytes != r.bytes ||
	    strcmp(again.folder, r.folder) != 0)
		__builtin_trap();
	free(out);
	record_fini(&again);
	record_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_ledger((const char *)data, size);
	try_summed((const char *)data, size);
	try_record((const char *)data, size);
	return 0;
}
