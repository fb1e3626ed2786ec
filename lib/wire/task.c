/* task.c - see task.h: one table of fields a kind.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/task.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "lib/wire/fields.h"
#include "lib/wire/json_write.h"

#define DIGEST_MAX   (64u << 20)
#define MESSAGES_MAX 1000
#define STOPS_MAX    64
#define COUNT_MAX    4294967295.0 /* pixels, steps, tokens: 32 bits on the wire */

static const struct field image_rows[] = {
    FIELD_TEXT(task_image, prompt, "prompt", true, FIELD_TEXT_MAX),
    FIELD_TEXT(task_image, negative_prompt, "negativePrompt", false, FIELD_TEXT_MAX),
    FIELD_TEXT(task_image, init_image_url, "initImageUrl", false, FIELD_URL_MAX),
    FIELD_TEXT(task_image, mask_url, "maskUrl", false, FIELD_URL_MAX),
    FIELD_TEXT(task_image, ref_image_url, "refImageUrl", false, FIELD_URL_MAX),
    FIELD_TEXT(task_image, sampling_method, "samplingMethod", false, FIELD_ID_MAX),
    FIELD_TEXT(task_image, ext, "ext", false, FIELD_ID_MAX),
    {"denoise", FIELD_NUMBER, false, offsetof(struct task_image, denoise),
     offsetof(struct task_image, has_denoise), -FIELD_NUMBER_MAX, FIELD_NUMBER_MAX},
    {"cfgScale", FIELD_NUMBER, false, offsetof(struct task_image, cfg_scale),
     offsetof(struct task_image, has_cfg_scale), -FIELD_NUMBER_MAX, FIELD_NUMBER_MAX},
    {"seed", FIELD_U64, false, offsetof(struct task_image, seed),
     offsetof(struct task_image, has_seed), 0, 0},
    FIELD_WHOLE(task_image, width, "width", false, 0, COUNT_MAX),
    FIELD_WHOLE(task_image, height, "height", false, 0, COUNT_MAX),
    FIELD_WHOLE(task_image, steps, "steps", false, 0, COUNT_MAX),
};

static const struct field llm_rows[] = {
    FIELD_TEXT(task_llm, system, "system", false, FIELD_TEXT_MAX),
    FIELD_WHOLE(task_llm, max_tokens, "maxTokens", false, 0, COUNT_MAX),
    FIELD_REAL(task_llm, temperature, "temperature", false, -FIELD_NUMBER_MAX, FIELD_NUMBER_MAX),
    {"topP", FIELD_NUMBER, false, offsetof(struct task_llm, top_p),
     offsetof(struct task_llm, has_top_p), -FIELD_NUMBER_MAX, FIELD_NUMBER_MAX},
    FIELD_TREE(task_llm, json_schema, "jsonSchema", FIELD_JSON, false),
    FIELD_TREE(task_llm, reasoning, "reasoning", FIELD_JSON, false),
    FIELD_TREE(task_llm, chat_template_kwargs, "chatTemplateKwargs", FIELD_JSON, false),
};

static const struct field message_rows[] = {
    FIELD_TEXT(task_message, role, "role", true, FIELD_ID_MAX),
    FIELD_TEXT(task_message, content, "content", true, FIELD_TEXT_MAX),
};

static const struct field stt_rows[] = {
    FIELD_TEXT(task_stt, input_url, "inputUrl", true, FIELD_URL_MAX),
    FIELD_TEXT(task_stt, language, "language", false, FIELD_ID_MAX),
    FIELD_TEXT(task_stt, prompt, "prompt", false, FIELD_TEXT_MAX),
    FIELD_TEXT(task_stt, timestamps, "timestamps", false, FIELD_ID_MAX),
    FIELD_FLAG(task_stt, translate, "translate", false),
    {"vad", FIELD_BOOL, false, offsetof(struct task_stt, vad), offsetof(struct task_stt, has_vad),
     0, 0},
};

static const struct field tts_rows[] = {
    FIELD_TEXT(task_tts, text, "text", true, FIELD_TEXT_MAX),
    FIELD_TEXT(task_tts, voice, "voice", false, FIELD_ID_MAX),
    FIELD_TEXT(task_tts, language, "language", false, FIELD_ID_MAX),
    FIELD_TEXT(task_tts, ext, "ext", false, FIELD_ID_MAX),
    {"speed", FIELD_NUMBER, false, offsetof(struct task_tts, speed),
     offsetof(struct task_tts, has_speed), -FIELD_NUMBER_MAX, FIELD_NUMBER_MAX},
};

static const struct field video_rows[] = {
    FIELD_TEXT(task_video, prompt, "prompt", true, FIELD_TEXT_MAX),
    FIELD_TEXT(task_video, negative_prompt, "negativePrompt", false, FIELD_TEXT_MAX),
    FIELD_TEXT(task_video, init_image_url, "initImageUrl", false, FIELD_URL_MAX),
    FIELD_TEXT(task_video, ext, "ext", false, FIELD_ID_MAX),
    FIELD_REAL(task_video, seconds, "seconds", false, 0, FIELD_NUMBER_MAX),
    {"fps", FIELD_NUMBER, false, offsetof(struct task_video, fps),
     offsetof(struct task_video, has_fps), 0, FIELD_NUMBER_MAX},
    FIELD_WHOLE(task_video, width, "width", false, 0, COUNT_MAX),
    FIELD_WHOLE(task_video, height, "height", false, 0, COUNT_MAX),
};

static int decode_messages(json_t *json, struct task_llm *t, struct err *e)
{
	json_t *array;
	int rc = fields_array(json, "task", "messages", true, MESSAGES_MAX, &array, e);
	if (rc)
		return rc;
	if (!json_array_size(array))
		return err_set(e, EPROTO, "task.messages is empty");
	t->messages = xcalloc(json_array_size(array), sizeof *t->messages);
	for (size_t i = 0; i < json_array_size(array); i++) {
		t->n_messages = i + 1;
		rc = fields_read(json_array_get(array, i), "task.messages", message_rows,
				 ARRAY_LEN(message_rows), &t->messages[i], e);
		if (rc)
			return rc;
	}
	return 0;
}

static int decode_image(json_t *json, struct task *t, struct err *e)
{
	t->image.width = t->image.height = 512;
	t->image.steps = 20;
	t->image.ext = xstrdup("webp");
	return fields_read(json, "task", image_rows, ARRAY_LEN(image_rows), &t->image, e);
}

static int decode_llm(json_t *json, struct task *t, struct err *e)
{
	t->llm.max_tokens = 512;
	t->llm.temperature = 0.7;
	int rc = fields_read(json, "task", llm_rows, ARRAY_LEN(llm_rows), &t->llm, e);
	if (!rc)
		rc = decode_messages(json, &t->llm, e);
	if (!rc)
		rc = fields_strings(json, "task", "stop", STOPS_MAX, FIELD_URL_MAX, &t->llm.stop,
				    &t->llm.n_stop, e);
	return rc;
}

static int decode_stt(json_t *json, struct task *t, struct err *e)
{
	int rc = fields_read(json, "task", stt_rows, ARRAY_LEN(stt_rows), &t->stt, e);
	const char *stamps = t->stt.timestamps;
	if (!rc && stamps && strcmp(stamps, "segment") != 0 && strcmp(stamps, "word") != 0)
		rc = err_set(e, EPROTO, "task.timestamps must be \"segment\" or \"word\"");
	return rc;
}

static int decode_tts(json_t *json, struct task *t, struct err *e)
{
	t->tts.voice = xstrdup("default");
	t->tts.ext = xstrdup("wav");
	return fields_read(json, "task", tts_rows, ARRAY_LEN(tts_rows), &t->tts, e);
}

static int decode_video(json_t *json, struct task *t, struct err *e)
{
	t->video.seconds = 2.0;
	t->video.width = t->video.height = 512;
	t->video.ext = xstrdup("mp4");
	return fields_read(json, "task", video_rows, ARRAY_LEN(video_rows), &t->video, e);
}

static int (*const decoders[KIND_COUNT])(json_t *, struct task *, struct err *) = {
    [KIND_IMAGE] = decode_image, [KIND_LLM] = decode_llm,     [KIND_STT] = decode_stt,
    [KIND_TTS] = decode_tts,	 [KIND_VIDEO] = decode_video,
};

static const struct field kind_row = FIELD_TEXT(task, kind_text, "kind", true, FIELD_ID_MAX);

int task_decode(json_t *json, struct task **out, struct err *e)
{
	struct task *t = xcalloc(1, sizeof *t);
	int rc = fields_read(json, "task", &kind_row, 1, t, e);
	if (!rc) {
		t->raw = json_incref(json);
		t->known = kind_parse(t->kind_text, &t->kind);
		if (t->known)
			rc = decoders[t->kind](json, t, e);
	}
	if (rc) {
		task_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

static void free_image(struct task_image *t)
{
	free(t->prompt);
	free(t->negative_prompt);
	free(t->init_image_url);
	free(t->mask_url);
	free(t->ref_image_url);
	free(t->sampling_method);
	free(t->ext);
}

static void free_llm(struct task_llm *t)
{
	for (size_t i = 0; i < t->n_messages; i++) {
		free(t->messages[i].role);
		free(t->messages[i].content);
	}
	free(t->messages);
	free(t->system);
	fields_strings_free(t->stop, t->n_stop);
	json_decref(t->json_schema);
	json_decref(t->reasoning);
	json_decref(t->chat_template_kwargs);
}

static void free_stt(struct task_stt *t)
{
	free(t->input_url);
	free(t->language);
	free(t->prompt);
	free(t->timestamps);
}

static void free_tts(struct task_tts *t)
{
	free(t->text);
	free(t->voice);
	free(t->language);
	free(t->ext);
}

static void free_video(struct task_video *t)
{
	free(t->prompt);
	free(t->negative_prompt);
	free(t->init_image_url);
	free(t->ext);
}

static void free_known(struct task *t)
{
	switch (t->kind) {
	case KIND_IMAGE:
		free_image(&t->image);
		break;
	case KIND_LLM:
		free_llm(&t->llm);
		break;
	case KIND_STT:
		free_stt(&t->stt);
		break;
	case KIND_TTS:
		free_tts(&t->tts);
		break;
	case KIND_VIDEO:
		free_video(&t->video);
		break;
	case KIND_COUNT:
		break;
	}
}

void task_free(struct task *t)
{
	if (!t)
		return;
	if (t->known)
		free_known(t);
	free(t->kind_text);
	json_decref(t->raw);
	free(t);
}

const char *task_prompt(const struct task *t)
{
	if (!t->known)
		return "";
	switch (t->kind) {
	case KIND_IMAGE:
		return t->image.prompt;
	case KIND_LLM:
		return t->llm.messages[t->llm.n_messages - 1].content;
	case KIND_STT:
		return t->stt.input_url;
	case KIND_TTS:
		return t->tts.text;
	case KIND_VIDEO:
		return t->video.prompt;
	case KIND_COUNT:
		break;
	}
	return "";
}

void task_digest(const json_t *task, const json_t *source, char hex[65])
{
	struct buf both;
	buf_init(&both, DIGEST_MAX);
	/* Both were parsed from frames of a bounded size: they always fit. */
	bool ok = buf_add(&both, "[", 1) && json_add(&both, task, true) && buf_add(&both, ",", 1) &&
		  json_add(&both, source, true) && buf_add(&both, "]", 1);
	sha256_hex(ok ? both.data : "", ok ? both.len : 0, hex);
	buf_fini(&both);
}
