/* task.h - what a job asks for, decoded from an offer's `task` with the defaults filled in
 * (docs/protocol.md, section 5).
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_TASK_H
#define WIRE_TASK_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/wire/kind.h"

/* Strings are owned by the task; NULL: not given. A `has_` flag tells whether a number was given.
 */
struct task_image {
	char *prompt, *negative_prompt, *init_image_url, *mask_url, *ref_image_url,
	    *sampling_method, *ext;
	double denoise, cfg_scale;
	bool has_denoise, has_cfg_scale, has_seed;
	uint64_t seed;
	int64_t width, height, steps;
};
struct task_message {
	char *role, *content;
};
struct task_llm {
	struct task_message *messages; /* at least one */
	size_t n_messages;
	char *system;
	int64_t max_tokens;
	double temperature, top_p;
	bool has_top_p;
	char **stop;
	size_t n_stop;
	json_t *json_schema, *reasoning, *chat_template_kwargs; /* NULL: not given */
};
struct task_stt {
	char *input_url, *language, *prompt,
	    *timestamps; /* timestamps: NULL, "segment" or "word" */
	bool translate, vad, has_vad;
};
struct task_tts {
	char *text, *voice, *language, *ext;
	double speed;
	bool has_speed;
};
struct task_video {
	char *prompt, *negative_prompt, *init_image_url, *ext;
	double seconds, fps;
	bool has_fps;
	int64_t width, height;
};

struct task {
	enum kind kind;
	bool
	    known; /* false: a kind this build has never heard of; only kind_text and raw are set */
	char *kind_text;
	json_t *raw; /* as received */
	union {
		struct task_image image;
		struct task_llm llm;
		struct task_stt stt;
		struct task_tts tts;
		struct task_video video;
	};
};

/* Decodes a JSON object. -EPROTO with a message naming the field for what is missing or of a wrong
 * type; an unknown kind decodes (known == false). *out is the caller's. Caps: text fields 1 MiB,
 * 1,000 messages. */
int task_decode(json_t *json, struct task **out, struct err *e) MUST_CHECK;
/* Stricter than decode, for a studio's own front door: ranges and file extensions as well. */
int task_validate(const struct task *t, struct err *e) MUST_CHECK;
void task_free(struct task *t);
/* The full prompt as the protocol defines it per kind; "" for an unknown kind. */
const char *task_prompt(const struct task *t);
/* SHA-256 (hex) of the canonical JSON (sorted keys, compact) of task and model source: "the same
 * task". */
void task_digest(const json_t *task, const json_t *source, char hex[65]);

#endif
