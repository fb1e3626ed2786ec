/* parts.c - see parts.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/parts.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"

/* Names as engine_program_find() knows them. */
static const struct {
	const char *name;
	size_t offset;
} programs[] = {
    {"sd-server", offsetof(struct options, sd_server_path)},
    {"sd-cli", offsetof(struct options, sd_cli_path)},
    {"llama-server", offsetof(struct options, llama_server_path)},
    {"whisper-server", offsetof(struct options, whisper_server_path)},
    {"piper", offsetof(struct options, piper_path)},
    {"espeak-ng", offsetof(struct options, espeak_ng_path)},
    {"ffmpeg", offsetof(struct options, ffmpeg_path)},
    {"onnxruntime", offsetof(struct options, onnxruntime_path)},
};

/* pocketsphinx 5 is another program than the pocketsphinx_continuous of before, with another way to
 * be asked: the one that the owner did not name is not to be found. */
static size_t recogniser(struct program_path *out, const char *path)
{
	static const char no_program[] = "/dev/null";
	const char *slash = strrchr(path, '/');
	bool before = strcmp(slash ? slash + 1 : path, "pocketsphinx_continuous") == 0;
	if (!path[0])
		return 0;
	out[0] = (struct program_path){"pocketsphinx", before ? no_program : path};
	out[1] = (struct program_path){"pocketsphinx_continuous", before ? path : no_program};
	return 2;
}

void parts_programs(struct program_path out[PROGRAMS_MAX], const struct options *o)
{
	size_t n = 0;
	_Static_assert(ARRAY_LEN(programs) + 3 <= PROGRAMS_MAX, "two recognisers and the end");
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		const char *path = *(char *const *)((const char *)o + programs[i].offset);
		if (path[0])
			out[n++] = (struct program_path){programs[i].name, path};
	}
	n += recogniser(out + n, o->pocketsphinx_path);
	out[n] = (struct program_path){NULL, NULL};
}

uint64_t parts_bytes(double gb)
{
	return gb > 0 && gb < 1e9 ? (uint64_t)(gb * 1073741824.0) : 0;
}

/* scheme://host[:port]; NULL when the address is none. */
static char *origin(const char *api_base_url)
{
	char *base = url_api_base(api_base_url, NULL);
	char *host = base ? strstr(base, "://") : NULL;
	char *path = host ? strchr(host + 3, '/') : NULL;
	if (path)
		*path = '\0';
	return base;
}

void parts_limit_store(struct store *s, const struct options *o)
{
	auto_free char *studio = origin(o->api_base_url);
	struct store_limits l = {
	    .quota_bytes = (uint64_t)(o->models_quota_gb * 1e9),
	    .bytes_per_s = (uint64_t)(o->download_limit_mbps * 1e6 / 8),
	    .allow_hosts = (const char *const *)o->allow_hosts,
	    .studio_origin = studio,
	};
	store_configure(s, &l);
}

void parts_limit_host(struct host *h, const struct options *o)
{
	struct host_limits l = {
	    .idle_ms = (uint64_t)o->engine_idle_secs * 1000,
	    .memory_bytes = parts_bytes(o->vram_threshold_gb),
	    .margin_bytes = parts_bytes(o->vram_margin_gb),
	};
	host_configure(h, &l);
}
