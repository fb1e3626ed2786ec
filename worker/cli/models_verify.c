/* models_verify.c - `studio-worker models verify`: are the downloaded files what they were?
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "lib/wire/fields.h"
#include "worker/cli/cli.h"
#include "worker/cli/models.h"
#include "worker/cli/wrap.h"

enum verdict { GOOD, BAD, UNKNOWN, VERDICTS };
static const char *const verdict_names[] = {"good", "bad", "unknown"};

struct tally {
	size_t n[VERDICTS];
	json_t *files; /* NULL: a line each instead */
};

/* why is told for a bad file. */
static enum verdict judge(const struct store_entry *entry, struct err *why)
{
	char hex[SHA256_HEX_LEN];
	if (!entry->sha256)
		return UNKNOWN;
	if (sha256_file(entry->path, hex, why) < 0)
		return BAD;
	if (strcasecmp(hex, entry->sha256) == 0)
		return GOOD;
	err_set(why, EIO, "its SHA-256 is %s, it was %s", hex, entry->sha256);
	return BAD;
}

static void tell(const struct tally *t, const struct store_entry *entry, enum verdict v,
		 const struct err *why)
{
	auto_free char *name = models_name(entry);
	if (!t->files) {
		printf("%-7s  %s\n", verdict_names[v], name);
		if (v == BAD)
			wrap_print(stdout, "", 8, why->text);
		fflush(stdout); /* the next one may take a minute */
		return;
	}
	json_t *o = json_object();
	json_set_text(o, "model", entry->model);
	json_set_text(o, "filename", entry->filename);
	json_set_text(o, "verdict", verdict_names[v]);
	if (v == BAD)
		json_set_text(o, "reason", why->text);
	json_array_append_new(t->files, o);
}

static void verify_all(struct tally *t, const struct store_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;
		if (entries[i].partial)
			continue; /* hashed when it is whole */
		enum verdict v = judge(&entries[i], &why);
		tell(t, &entries[i], v, &why);
		t->n[v]++;
	}
}

static void print_sum(struct tally *t)
{
	if (t->files) {
		json_t *o =
		    json_pack("{s:o, s:i, s:i, s:i}", "files", t->files, "good", (int)t->n[GOOD],
			      "bad", (int)t->n[BAD], "unknown", (int)t->n[UNKNOWN]);
		json_dumpf(o, stdout, JSON_INDENT(2));
		puts("");
		json_decref(o);
		return;
	}
	printf("%zu good, %zu bad, %zu unknown (yours, or no hash was given)\n", t->n[GOOD],
	       t->n[BAD], t->n[UNKNOWN]);
	if (t->n[BAD])
		puts("`studio-worker models rm` removes a bad file; the next job fetches it anew");
}

int models_verify(const struct config *c, bool as_json)
{
	struct store_entry *entries = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;
	if (store_list(c->options.models_root, &entries, &n, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	struct tally t = {.files = as_json ? json_array() : NULL};
	verify_all(&t, entries, n);
	print_sum(&t);
	store_entries_free(entries, n);
	return t.n[BAD] ? EXIT_FAILED : EXIT_OK;
}
