/* screen_engines.c - see screen_engines.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/screen_engines.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "worker/cli/amount.h"
#include "worker/cli/wrap.h"
#include "worker/model/store.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static uint64_t whole(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));
	return n > 0 ? (uint64_t)n : 0;
}

static void print_download(FILE *out, const json_t *d, int label)
{
	char line[256];
	const json_t *eta = json_object_get(d, "etaSeconds");
	struct store_progress p = {
	    .filename = text(d, "filename"),
	    .done = whole(d, "done"),
	    .total = whole(d, "total"),
	    .rate = whole(d, "rate"),
	    .eta_s = eta ? (int64_t)json_integer_value(eta) : -1,
	};
	store_progress_text(&p, line, sizeof line);
	wrap_print(out, "  download", label, line);
}

void screen_models(FILE *out, const json_t *models, int label)
{
	char bytes[AMOUNT_LEN], quota[AMOUNT_LEN];
	uint64_t limit = whole(models, "quotaBytes"), used = whole(models, "bytes");
	const json_t *downloads = json_object_get(models, "downloads");
	if (!models || (!limit && !used && !json_array_size(downloads)))
		return;
	amount_bytes(used, bytes);
	amount_bytes(limit, quota);
	auto_free char *line =
	    xasprintf("%s%s%s downloaded", bytes, limit ? " of " : "", limit ? quota : "");
	wrap_print(out, "models", label, line);
	for (size_t i = 0; i < json_array_size(downloads); i++)
		print_download(out, json_array_get(downloads, i), label);
}

static char *what_it_does(const json_t *w)
{
	char idle[32];
	uint64_t jobs = whole(w, "jobs");
	if (strcmp(text(w, "state"), "loaded") != 0)
		return xstrdup(text(w, "state"));
	if (jobs)
		return xasprintf("at work for %llu job%s", (unsigned long long)jobs,
				 jobs == 1 ? "" : "s");
	time_format_duration(whole(w, "idleSeconds") * 1000, idle);
	return xasprintf("idle for %s", idle);
}

void screen_warm(FILE *out, const json_t *warm, int label)
{
	for (size_t i = 0; i < json_array_size(warm); i++) {
		const json_t *w = json_array_get(warm, i);
		char bytes[AMOUNT_LEN];
		uint64_t memory = whole(w, "memoryBytes");
		auto_free char *does = what_it_does(w);
		amount_bytes(memory, bytes);
		auto_free char *line =
		    xasprintf("%s %s, %s%s%s", text(w, "engine"), text(w, "model"), does,
			      memory ? ", " : "", memory ? bytes : "");
		wrap_print(out, i ? "" : "warm", label, line);
	}
}
