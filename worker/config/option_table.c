/* option_table.c - one row a key: the table that everything about an option comes from.
 * SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "lib/base/mem.h"
#include "worker/config/options.h"

#define AT(field) offsetof(struct options, field)
/* clang-format off */
#define TEXT(key, value, help) {#key, OPTION_STRING, value, help, AT(key), 0, 0, false}
#define PATH(key, value, help) {#key, OPTION_STRING, value, help, AT(key), 0, 0, true}
#define FLAG(key, value, help) {#key, OPTION_BOOL, value, help, AT(key), 0, 0, false}
#define LIST(key, help)        {#key, OPTION_LIST, "[]", help, AT(key), 0, 0, false}
#define COUNT(key, value, min, max, help)  {#key, OPTION_INT, value, help, AT(key), min, max, false}
#define NUMBER(key, value, min, max, help) {#key, OPTION_NUMBER, value, help, AT(key), min, max, false}

/* Keys, defaults and meaning are the production worker's down to local_api_port, so that one file
 * serves both; it ignores the rest. */
const struct option option_table[] = {
	TEXT(api_base_url, "\"https://studio.minis.gg/\"", "address of the studio"),
	NUMBER(vram_threshold_gb, "12.0", 0, 100000, "GPU memory lent to one job at most, in GB"),
	FLAG(auto_start, "true", "start with the machine"),
	FLAG(start_minimised, "true", "start without a window"),
	FLAG(only_when_idle, "false", "take jobs only while nobody uses the machine"),
	FLAG(auto_update_enabled, "true", "install new versions while no job runs"),
	COUNT(auto_update_interval_secs, "1800", 1, 31536000, "seconds between two looks for one"),
	TEXT(auto_update_feed, "\"\"", "where new versions are announced"),
	FLAG(auto_update_prerelease, "false", "take pre-releases too"),
	PATH(models_root, "\"~/models\"", "where model files are kept"),
	COUNT(ws_reconnect_attempts, "5", 0, 1000000, "failed attempts in a row before giving up; 0: never"),
	COUNT(local_api_port, "4787", 0, 65535, "port of the local API"),
	NUMBER(models_quota_gb, "0.0", 0, 1000000, "most that downloaded model files take, in GB; 0: no limit"),
	NUMBER(download_limit_mbps, "0.0", 0, 1000000, "megabits a second for all downloads together; 0: no limit"),
	LIST(allow_hosts, "hosts that files may come from though they are private or speak plain http"),
	COUNT(engine_idle_secs, "600", 0, 31536000, "seconds a warm engine is kept without a job"),
	NUMBER(vram_margin_gb, "0.5", 0, 100000, "GPU memory that is left alone, in GB"),
	PATH(sd_server_path, "\"\"", "sd-server of stable-diffusion.cpp; \"\": looked for, as are all below"),
	PATH(sd_cli_path, "\"\"", "sd-cli of stable-diffusion.cpp"),
	PATH(llama_server_path, "\"\"", "llama-server of llama.cpp"),
	PATH(whisper_server_path, "\"\"", "whisper-server of whisper.cpp"),
	PATH(piper_path, "\"\"", "piper"),
	PATH(espeak_ng_path, "\"\"", "espeak-ng"),
	PATH(pocketsphinx_path, "\"\"", "pocketsphinx or pocketsphinx_continuous"),
	PATH(ffmpeg_path, "\"\"", "ffmpeg"),
	PATH(onnxruntime_path, "\"\"", "libonnxruntime.so of ONNX Runtime"),
};
/* clang-format on */
const size_t option_count = ARRAY_LEN(option_table);
