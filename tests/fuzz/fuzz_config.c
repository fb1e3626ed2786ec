/* fuzz_config.c - any bytes as config.toml: reading never crashes and never quotes a value it could
 * not read, and an edit either fails or changes its key and nothing else. SPDX-License-Identifier:
 * MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/toml/toml.h"
#include "worker/config/edit.h"
#include "worker/config/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unknown(void *arg, const char *key, unsigned line)
{
	(void)arg, (void)line;
	if (!key)
		abort();
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool has(const char *text, size_t len, const char *key)
{
	struct toml_doc doc;
	unsigned line, column;
	must(toml_parse(text, len, &doc, &line, &column) == 0);
	bool found = toml_find(&doc, key) != NULL;
	toml_fini(&doc);
	return found;
}

static void read_and_print(const char *text, size_t len)
{
	struct options o;
	struct err e = ERR_INIT;
	if (options_read(&o, "config.toml", text, len, unknown, NULL, &e) < 0) {
		must(strncmp(e.text, "config.toml", 11) == 0);
		return;
	}
	for (size_t i = 0; i < option_count; i++) {
		auto_free char *value = option_format(&option_table[i], &o);
		auto_free char *line = xasprintf("%s = %s\n", option_table[i].key, value);
		struct options again;
		must(options_read(&again, "x", line, strlen(line), NULL, NULL, &e) == 0);
		options_fini(&again);
	}
	options_fini(&o);
}

static void edit(const char *text, size_t len, const char *key, const char *value)
{
	struct err e = ERR_INIT;
	auto_free char *set = NULL, *again = NULL, *removed = NULL;
	size_t set_len, again_len, removed_len;
	if (edit_set(text, len, key, value, &set, &set_len, &e) < 0)
		return;
	must(has(set, set_len, key));
	must(edit_set(set, set_len, key, value, &again, &again_len, &e) == 0);
	must(again_len == set_len && memcmp(again, set, set_len) == 0);
	if (edit_remove(set, set_len, key, &removed, &removed_len, &e) == 0)
		must(!has(removed, removed_len, key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	read_and_print(text, size);
	edit(text, size, "vram_threshold_gb", "8.5");
	edit(text, size, "api_base_url", "\"http://x/\"");
	edit(text, size, "allow_hosts", "[\"a\", \"b:1\"]");
	return 0;
}
