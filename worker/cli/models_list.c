/* models_list.c - `studio-worker models list`.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/wire/fields.h"
#include "worker/cli/amount.h"
#include "worker/cli/cli.h"
#include "worker/cli/models.h"

#define MODEL_WIDTH 18
#define FILE_WIDTH  28
#define BYTES_WIDTH 9

struct sums {
	uint64_t files, bytes, downloaded;
};

static bool ours(const struct store_entry *e)
{
	return e->sha256 || e->url;
}

static struct sums add_up(const struct store_entry *entries, size_t n)
{
	struct sums s = {0};
	for (size_t i = 0; i < n; i++) {
		uint64_t here = entries[i].partial ? entries[i].partial : entries[i].bytes;
		s.files++;
		s.bytes += here;
		s.downloaded += ours(&entries[i]) || entries[i].partial ? here : 0;
	}
	return s;
}

/* ---- for people ---- */

/* A long name keeps its end, which is what differs. */
static void cell(const char *text, int width)
{
	auto_free char *safe = cli_clean(text);
	int n = (int)strlen(safe);
	if (n > width)
		printf("%.*s..%s  ", width / 2 - 1, safe, safe + n - (width - width / 2 - 1));
	else
		printf("%-*s  ", width, safe);
}

static void print_source(const struct store_entry *e)
{
	char text[32];
	if (e->partial && e->bytes)
		snprintf(text, sizeof text, "%.0f %% here",
			 100.0 * (double)e->partial / (double)e->bytes);
	else
		snprintf(text, sizeof text, "%s",
			 e->partial ? "partly here"
			 : ours(e)  ? "downloaded"
				    : "yours");
	printf("%-11s  ", text);
}

static void print_entry(const struct store_entry *e, int64_t now_ms)
{
	char size[AMOUNT_LEN], used[AMOUNT_LEN];
	amount_bytes(e->bytes ? e->bytes : e->partial, size);
	amount_age(e->used_ms, now_ms, used);
	cell(e->model, MODEL_WIDTH);
	cell(e->filename, FILE_WIDTH);
	printf("%*s  ", BYTES_WIDTH - 1, size);
	print_source(e);
	printf("%s\n", used);
}

static void print_table(const struct store_entry *entries, size_t n, const struct config *c)
{
	char all[AMOUNT_LEN], downloaded[AMOUNT_LEN], quota[AMOUNT_LEN];
	struct sums s = add_up(entries, n);
	auto_free char *root = cli_clean(c->options.models_root);
	double gb = c->options.models_quota_gb;
	printf("# %s\n", root);
	if (n)
		printf("%-*s  %-*s  %*s  %-11s  %s\n", MODEL_WIDTH, "MODEL", FILE_WIDTH, "FILE",
		       BYTES_WIDTH - 1, "SIZE", "WHOSE", "USED");
	for (size_t i = 0; i < n; i++)
		print_entry(&entries[i], amount_now());
	amount_bytes(s.bytes, all);
	amount_bytes(s.downloaded, downloaded);
	amount_bytes((uint64_t)(gb * 1e9), quota);
	printf("%s%llu file%s, %s; downloaded %s%s%s\n", n ? "\n" : "", (unsigned long long)s.files,
	       s.files == 1 ? "" : "s", all, downloaded, gb > 0 ? " of " : ", no quota",
	       gb > 0 ? quota : "");
}

/* ---- for programs ---- */

static json_t *to_json(const struct store_entry *e)
{
	json_t *o = json_object();
	char used[TIME_TEXT_LEN];
	json_set_text(o, "model", e->model);
	json_set_text(o, "filename", e->filename);
	json_set_text(o, "path", e->path);
	json_object_set_new(o, "bytes", json_integer((json_int_t)e->bytes));
	if (e->partial)
		json_object_set_new(o, "partialBytes", json_integer((json_int_t)e->partial));
	json_object_set_new(o, "downloaded", json_boolean(ours(e) || e->partial));
	json_set_text(o, "sha256", e->sha256);
	json_set_text(o, "url", e->url);
	if (e->used_ms) {
		time_format(e->used_ms, used);
		json_set_text(o, "usedAt", used);
	}
	return o;
}

static void print_json(const struct store_entry *entries, size_t n, const struct config *c)
{
	struct sums s = add_up(entries, n);
	json_t *files = json_array(), *o = json_object();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(files, to_json(&entries[i]));
	json_set_text(o, "modelsRoot", c->options.models_root);
	json_object_set_new(o, "files", files);
	json_object_set_new(o, "bytes", json_integer((json_int_t)s.bytes));
	json_object_set_new(o, "downloadedBytes", json_integer((json_int_t)s.downloaded));
	json_object_set_new(o, "quotaBytes",
			    json_integer((json_int_t)(c->options.models_quota_gb * 1e9)));
	json_dumpf(o, stdout, JSON_INDENT(2));
	puts("");
	json_decref(o);
}

int models_list(const struct config *c, bool as_json)
{
	struct store_entry *entries = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;
	if (store_list(c->options.models_root, &entries, &n, &e) < 0)
		return cli_fail(EXIT_FAILED, &e);
	if (as_json)
		print_json(entries, n, c);
	else
		print_table(entries, n, c);
	store_entries_free(entries, n);
	return EXIT_OK;
}
