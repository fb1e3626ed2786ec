/* test_llama_parts.c - engine `llama-cpp` without a server: its streams, its answers, its requests,
 * its flags. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "worker/engine/llama-cpp/answer.h"
#include "worker/engine/llama-cpp/chat.h"
#include "worker/engine/llama-cpp/flags.h"
#include "worker/engine/llama-cpp/sse.h"

/* ---- streams ---- */

struct heard {
	char text[512];
	unsigned events, pings, stop_after;
};

static bool hear(void *arg, const char *data, size_t len)
{
	struct heard *h = arg;
	assert_int_equal(strlen(data), len);
	strncat(h->text, data, sizeof h->text - strlen(h->text) - 2);
	strcat(h->text, "|");
	return ++h->events != h->stop_after;
}

static void ping(void *arg)
{
	((struct heard *)arg)->pings++;
}

static const struct sse_events hearing = {hear, ping};

static int stream(struct heard *h, const char *text, size_t piece, size_t max)
{
	struct sse s;
	struct err e = ERR_INIT;
	int rc = 0;
	size_t len = strlen(text);
	sse_init(&s, max, &hearing, h);
	for (size_t i = 0; i < len && rc == 0; i += piece)
		rc = sse_feed(&s, text + i, len - i < piece ? len - i : piece, &e);
	if (rc < 0)
		assert_int_equal(sse_feed(&s, "x", 1, &e), -ECANCELED); /* it stays an error */
	sse_fini(&s);
	return rc;
}

static void test_stream(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *events;
		unsigned pings;
	} rows[] = {
	    {"data: a\n\ndata: b\n\n", "a|b|", 0},
	    {"data: a\r\n\r\ndata: b\r\n\r\n", "a|b|", 0},
	    {"data: a\r\rdata:b\r\r", "a|b|", 0},
	    {":\n\ndata: a\n\n: ping\n\n", "a|", 2},
	    {"data: a\ndata: b\n\n", "a\nb|", 0},
	    {"data:  two\n\n", " two|", 0},
	    {"event: x\nid: 3\nretry: 9\ndata: a\n\n", "a|", 0},
	    {"data\n\n", "|", 0},
	    {"\n\n\n", "", 0},
	    {"error: {}\n\n", "{}|", 0},
	    {"database: a\n\n", "", 0},
	    {"data: never ended\n", "", 0},
	    {"data: x:y\n\n", "x:y|", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			struct heard h = {0};
			assert_int_equal(stream(&h, rows[i].bytes, piece, 100), 0);
			assert_string_equal(h.text, rows[i].events);
			assert_int_equal(h.pings, rows[i].pings);
		}
	}
}

static void test_stream_caps(void **state)
{
	(void)state;
	struct heard h = {0};
	assert_int_equal(stream(&h, "data: 0123456789", 3, 10), -EMSGSIZE);
	assert_int_equal(stream(&h, "data: 4567\ndata: 4567\ndata: 4567\n", 3, 10), -EMSGSIZE);
	assert_int_equal(h.events, 0);
	assert_int_equal(stream(&h, "data: 4567\n\ndata: 4567\n\ndata: 4567\n\n", 3, 10), 0);
	assert_int_equal(h.events, 3);
	h = (struct heard){.stop_after = 2};
	assert_int_equal(stream(&h, "data: a\n\ndata: b\n\ndata: c\n\n", 100, 10), -ECANCELED);
	assert_string_equal(h.text, "a|b|");
}

/* ---- answers ---- */

#define CHUNK(delta, finish)                                                                       \
	"{\"choices\":[{\"finish_reason\":" finish ",\"index\":0,\"delta\":" delta                 \
	"}],\"created\":17,\"id\":\"c-1\",\"model\":\"m\",\"system_fingerprint\":\"b0\"}"
#define USAGE                                                                                      \
	"{\"choices\":[],\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":3,\"total_tokens\":" \
	"5},\"timings\":{\"predicted_n\":2}}"

static enum answer_state take(struct answer *a, const char *data, struct err *e)
{
	return answer_take(a, data, strlen(data), e);
}

static json_t *whole(const char *const *events)
{
	struct answer a;
	struct err e = ERR_INIT;
	answer_init(&a);
	for (; *events; events++)
		assert_int_equal(take(&a, *events, &e), ANSWER_MORE);
	assert_int_equal(take(&a, "[DONE]", &e), ANSWER_DONE);
	json_t *result = answer_result(&a);
	answer_fini(&a);
	assert_non_null(result);
	return result;
}

static void assert_json(json_t *got, const char *want)
{
	json_t *w = json_loads(want, 0, NULL);
	assert_non_null(w);
	if (!json_equal(got, w))
		fail_msg("%s", json_dumps(got, JSON_SORT_KEYS));
	json_decref(w);
	json_decref(got);
}

static void test_answer(void **state)
{
	(void)state;
	static const char *const events[] = {
	    CHUNK("{\"role\":\"assistant\",\"content\":null}", "null"),
	    CHUNK("{\"reasoning_content\":\"hm\"}", "null"),
	    CHUNK("{\"reasoning_content\":\"m\"}", "null"),
	    CHUNK("{\"content\":\"He\"}", "null"),
	    CHUNK("{\"content\":\"llo\"}", "null"),
	    CHUNK("{}", "\"length\""),
	    USAGE,
	    NULL};
	assert_json(
	    whole(events),
	    "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":"
	    "\"length\","
	    "\"message\":{\"role\":\"assistant\",\"content\":\"Hello\",\"reasoning_content\":"
	    "\"hmm\"}}],\"id\":\"c-1\",\"model\":\"m\",\"created\":17,\"system_fingerprint\":"
	    "\"b0\","
	    "\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":3,\"total_tokens\":5},"
	    "\"timings\":{\"predicted_n\":2}}");
}

static void test_answer_calls(void **state)
{
	(void)state;
	static const char *const events[] = {
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{"
		  "\"name\":\"f\",\"arguments\":\"{\"}}]}",
		  "null"),
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}},{\"index\":1,"
		  "\"function\":{\"name\":\"g\"}}]}",
		  "\"tool_calls\""),
	    NULL};
	json_t *result = whole(events);
	json_t *message =
	    json_object_get(json_array_get(json_object_get(result, "choices"), 0), "message");
	assert_json(
	    json_incref(message),
	    "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"type\":"
	    "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}");
	json_decref(result);
}

static void assert_split(const char *text, const char *content, const char *thoughts)
{
	char chunk[512];
	snprintf(chunk, sizeof chunk, CHUNK("{\"content\":\"%s\"}", "\"stop\""), text);
	const char *const events[] = {chunk, NULL};
	json_t *result = whole(events);
	json_t *m =
	    json_object_get(json_array_get(json_object_get(result, "choices"), 0), "message");
	assert_string_equal(json_string_value(json_object_get(m, "content")), content);
	const char *said = json_string_value(json_object_get(m, "reasoning_content"));
	assert_string_equal(said ? said : "(none)", thoughts);
	json_decref(result);
}

static void test_answer_thoughts_in_text(void **state)
{
	(void)state;
	assert_split("<think>\\nab\\n</think>\\n\\nyes", "yes", "ab");
	assert_split("  <think>ab</think>", "", "ab");
	assert_split("<think>never closed", "<think>never closed", "(none)");
	assert_split("about <think>x</think>", "about <think>x</think>", "(none)");
}

static void assert_state(const char *event, enum answer_state want, const char *words)
{
	struct answer a;
	struct err e = ERR_INIT;
	answer_init(&a);
	assert_int_equal(take(&a, event, &e), want);
	answer_fini(&a);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static void test_answer_garbage(void **state)
{
	(void)state;
	assert_state("[DONE]", ANSWER_BROKEN, "without a reason");
	assert_state("{", ANSWER_BROKEN, "garbage");
	assert_state("[]", ANSWER_BROKEN, "no object");
	assert_state("{\"a\":1}", ANSWER_BROKEN, "choices");
	assert_state(CHUNK("{\"content\":7}", "null"), ANSWER_BROKEN, "piece of text");
	assert_state(CHUNK("{\"tool_calls\":[{\"index\":5}]}", "null"), ANSWER_BROKEN, "order");
	assert_state(CHUNK("{\"tool_calls\":[7]}", "null"), ANSWER_BROKEN, "order");
	assert_state("{\"choices\":[7]}", ANSWER_MORE, "");
	assert_state("{\"error\":{\"code\":500,\"message\":\"Compute error.\",\"type\":"
		     "\"server_error\"}}",
		     ANSWER_BROKEN, "Compute error.");
	assert_state("{\"code\":400,\"message\":\"no\",\"type\":\"invalid_request_error\"}",
		     ANSWER_REFUSED, "400: no");
}

static void test_answer_caps(void **state)
{
	(void)state;
	struct answer a;
	struct err e = ERR_INIT;
	enum answer_state s = ANSWER_MORE;
	char piece[1000] = "", chunk[1500];
	memset(piece, 'x', sizeof piece - 1);
	snprintf(chunk, sizeof chunk, CHUNK("{\"content\":\"%s\"}", "null"), piece);
	answer_init(&a);
	unsigned n = 0;
	while (s == ANSWER_MORE && n++ < 10000)
		s = take(&a, chunk, &e);
	assert_int_equal(s, ANSWER_TOO_BIG);
	assert_int_equal(n, ANSWER_MAX_TEXT / 999 + 1);
	assert_int_equal(e.code, EFBIG);
	answer_fini(&a);
}

static void assert_refusal(int status, const char *body, enum answer_state want, int code,
			   const char *words)
{
	struct err e = ERR_INIT;
	assert_int_equal(answer_refusal(status, body, strlen(body), &e), want);
	assert_int_equal(e.code, code);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static void test_refusals(void **state)
{
	(void)state;
	assert_refusal(400,
		       "{\"error\":{\"code\":400,\"message\":\"request (1519 tokens) exceeds the "
		       "available context size (1024 tokens), try increasing it\",\"type\":"
		       "\"exceed_context_size_error\",\"n_prompt_tokens\":1519,\"n_ctx\":1024}}",
		       ANSWER_REFUSED, E2BIG, "has 1519 tokens, the model's context only 1024");
	assert_refusal(400,
		       "{\"error\":{\"code\":400,\"message\":\"the request exceeds the available "
		       "context size. try increasing the context size\"}}",
		       ANSWER_REFUSED, E2BIG, "raise the model's contextSize");
	assert_refusal(401, "{\"error\":{\"code\":401,\"message\":\"Invalid API Key\"}}",
		       ANSWER_BROKEN, EPROTO, "does not take its key");
	assert_refusal(503, "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}",
		       ANSWER_BROKEN, EINVAL, "Loading model");
	assert_refusal(500, "{\"error\":{\"code\":500,\"message\":\"Jinja Exception: no\"}}",
		       ANSWER_REFUSED, EINVAL, "Jinja");
	assert_refusal(500, "{\"error\":{\"code\":500,\"message\":\"Compute error.\"}}",
		       ANSWER_BROKEN, EINVAL, "Compute");
	assert_refusal(502, "<html>", ANSWER_BROKEN, EPROTO, "502");
	assert_refusal(404, "", ANSWER_BROKEN, EPROTO, "404");
}

/* ---- requests ---- */

static struct task *task(const char *json)
{
	struct task *t = NULL;
	struct err e = ERR_INIT;
	json_t *j = json_loads(json, 0, NULL);
	assert_non_null(j);
	if (task_decode(j, &t, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(j);
	return t;
}

static void assert_request(const char *json, const char *defaults, const char *key,
			   const char *want)
{
	struct err e = ERR_INIT;
	struct task *t = task(json);
	json_t *d = json_loads(defaults, 0, NULL), *w = json_loads(want, JSON_DECODE_ANY, NULL);
	if (chat_check(&t->llm, d, &e) < 0)
		fail_msg("%s", e.text);
	auto_free char *text = chat_request(&t->llm, d, "a-model");
	json_t *body = json_loads(text, 0, NULL);
	if (!w ? json_object_get(body, key) != NULL : !json_equal(json_object_get(body, key), w))
		fail_msg("%s is not %s in %s", key, want, text);
	json_decref(body);
	json_decref(d);
	json_decref(w);
	task_free(t);
}

#define LLM(more) "{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define NONE	  ""

static void test_request(void **state)
{
	(void)state;
	assert_request(LLM(), "{}", "model", "\"a-model\"");
	assert_request(LLM(), "{}", "stream", "true");
	assert_request(LLM(), "{}", "stream_options", "{\"include_usage\":true}");
	assert_request(LLM(), "{}", "max_tokens", "512");
	assert_request(LLM(), "{}", "temperature", "0.7");
	assert_request(LLM(), "{}", "top_p", NONE);
	assert_request(LLM(), "{}", "stop", NONE);
	assert_request(LLM(), "{}", "response_format", NONE);
	assert_request(LLM(), "{}", "chat_template_kwargs", NONE);
	assert_request(LLM(",\"topP\":0.5"), "{}", "top_p", "0.5");
	assert_request(LLM(",\"stop\":[\"a\",\"\",\"b\"]"), "{}", "stop", "[\"a\",\"b\"]");
	assert_request(LLM(",\"jsonSchema\":{\"type\":\"object\"}"), "{}", "response_format",
		       "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":"
		       "true,\"schema\":{\"type\":\"object\"}}}");
	assert_request(LLM(",\"system\":\"be\""), "{}", "messages",
		       "[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":"
		       "\"hi\"}]");
	assert_request("{\"kind\":\"llm\",\"system\":\"a\",\"messages\":[{\"role\":\"system\","
		       "\"content\":\"b\"},{\"role\":\"developer\",\"content\":\"c\"}]}",
		       "{}", "messages",
		       "[{\"role\":\"system\",\"content\":\"a\\n\\nb\"},{\"role\":\"system\","
		       "\"content\":\"c\"}]");
}

static void test_request_reasoning(void **state)
{
	(void)state;
	static const char key[] = "chat_template_kwargs";
	assert_request(LLM(",\"reasoning\":false"), "{}", key, "{\"enable_thinking\":false}");
	assert_request(LLM(",\"reasoning\":true"), "{}", key, "{\"enable_thinking\":true}");
	assert_request(LLM(",\"reasoning\":\"none\""), "{}", key, "{\"enable_thinking\":false}");
	assert_request(LLM(",\"reasoning\":\"low\""), "{}", key,
		       "{\"enable_thinking\":true,\"reasoning_effort\":\"low\"}");
	assert_request(LLM(",\"reasoning\":{\"enabled\":true,\"maxTokens\":64}"), "{}",
		       "thinking_budget_tokens", "64");
	/* The job's arguments, its reasoning, the model's arguments. */
	assert_request(
	    LLM(",\"reasoning\":true,\"chatTemplateKwargs\":{\"enable_thinking\":false}"),
	    "{\"chatTemplateKwargs\":{\"a\":1,\"enable_thinking\":true}}", key,
	    "{\"a\":1,\"enable_thinking\":false}");
	assert_request(LLM(",\"reasoning\":false"),
		       "{\"chatTemplateKwargs\":{\"enable_thinking\":true}}", key,
		       "{\"enable_thinking\":false}");
	assert_request(LLM(), "{\"chatTemplateKwargs\":{\"b\":\"x\"}}", key, "{\"b\":\"x\"}");
}

static void assert_wrong(const char *json, const char *defaults, const char *words)
{
	struct err e = ERR_INIT;
	struct task *t = task(json);
	json_t *d = json_loads(defaults, 0, NULL);
	assert_int_equal(chat_check(&t->llm, d, &e), -EINVAL);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	json_decref(d);
	task_free(t);
}

static void test_wrong_requests(void **state)
{
	(void)state;
	assert_wrong(LLM(",\"maxTokens\":0"), "{}", "maxTokens is 0");
	assert_wrong(LLM(",\"maxTokens\":99999999"), "{}", "maxTokens");
	assert_wrong(LLM(",\"temperature\":-1"), "{}", "temperature is -1");
	assert_wrong(LLM(",\"topP\":1.5"), "{}", "topP is 1.5");
	assert_wrong(LLM(",\"topP\":0"), "{}", "topP is 0");
	assert_wrong(LLM(",\"jsonSchema\":[]"), "{}", "jsonSchema must be an object");
	assert_wrong(LLM(",\"reasoning\":7"), "{}", "reasoning can be");
	assert_wrong(LLM(",\"reasoning\":{\"maxTokens\":-1}"), "{}", "reasoning can be");
	assert_wrong(LLM(",\"chatTemplateKwargs\":{\"enable_thinking\":\"yes\"}"), "{}",
		     "true or false");
	assert_wrong(LLM(), "{\"contextSize\":0}", "contextSize must be");
	assert_wrong(LLM(), "{\"contextSize\":\"big\"}", "contextSize must be");
	assert_wrong(LLM(), "{\"contextSize\":1000000000000}", "contextSize must be");
	assert_wrong(LLM(), "{\"chatTemplateKwargs\":7}", "must be an object");
	assert_wrong("{\"kind\":\"llm\",\"messages\":[{\"role\":\"wizard\",\"content\":\"a\"}]}",
		     "{}", "message 1 has the role 'wizard'");
	assert_wrong("{\"kind\":\"llm\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", "{}",
		     "empty");
}

static void test_context(void **state)
{
	(void)state;
	json_t *d = json_pack("{s:i}", "contextSize", 2048);
	assert_int_equal(chat_context(d), 2048);
	json_decref(d);
	assert_int_equal(chat_context(NULL), CHAT_CONTEXT);
}

/* ---- flags ---- */

static bool has(const char *const *argv, const char *flag, const char *value)
{
	for (; *argv; argv++)
		if (strcmp(*argv, flag) == 0)
			return !value || (argv[1] && strcmp(argv[1], value) == 0);
	return false;
}

static void test_flags(void **state)
{
	(void)state;
	struct flags f = {0};
	struct err e = ERR_INIT;
	struct flags_files files = {.model = "/m.gguf", .mmproj = "/v.gguf", .lora = {"/l.gguf"}};
	const char *argv[FLAGS_MAX_ARGS];
	assert_int_equal(flags_check(&f, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "is none"));
	flags_read(&f, "-cram, --cache-ram N       see also --api-key-files");
	assert_int_equal(flags_check(&f, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "too old"));
	flags_read(&f, "--api-key-file FNAME       path to file");
	flags_read(&f, "--no-webui                 Disable the Web UI");
	assert_int_equal(flags_check(&f, &e), 0);
	flags_argv(&f, &files, "name", "2048", argv);
	assert_true(has(argv, "-m", "/m.gguf"));
	assert_true(has(argv, "--mmproj", "/v.gguf"));
	assert_true(has(argv, "--lora", "/l.gguf"));
	assert_true(has(argv, "--host", "127.0.0.1"));
	assert_true(has(argv, "--port", "{port}"));
	assert_true(has(argv, "-c", "2048"));
	assert_true(has(argv, "--api-key-file", "{key}"));
	assert_true(has(argv, "--cache-ram", "0"));
	assert_true(has(argv, "--no-webui", NULL));
	assert_false(has(argv, "--no-ui", NULL));
	assert_false(has(argv, "--alias", NULL));
	assert_false(has(argv, "--sse-ping-interval", NULL));
	flags_read(&f, "--ui, --no-ui    --alias  --sse-ping-interval N --jinja");
	flags_argv(&f, &files, "name", "2048", argv);
	assert_true(has(argv, "--no-ui", NULL));
	assert_false(has(argv, "--no-webui", NULL));
	assert_true(has(argv, "--alias", "name"));
	assert_true(has(argv, "--sse-ping-interval", "2"));
}

static int files_of(const char *list, struct flags_files *out, struct err *e)
{
	struct source *s = NULL;
	auto_free char *text = xasprintf("{\"engine\":\"llama-cpp\",\"files\":[%s],\"cliDefaults\":"
					 "{\"cfgScale\":1,\"steps\":1,\"width\":1,\"height\":1}}",
					 list);
	json_t *j = json_loads(text, 0, NULL);
	assert_non_null(j);
	if (source_decode(j, &s, e) < 0)
		fail_msg("%s", e->text);
	json_decref(j);
	const char *paths[] = {"/p/0", "/p/1", "/p/2"};
	int rc = flags_files(s, paths, out, e);
	source_free(s);
	return rc;
}

#define FILE_OF(role, name)                                                                        \
	"{\"role\":\"" role "\",\"url\":\"https://e.invalid/x\",\"filename\":\"" name "\"}"

static void test_files(void **state)
{
	(void)state;
	struct flags_files f;
	struct err e = ERR_INIT;
	assert_int_equal(files_of(FILE_OF("text-encoder-vision", "v.gguf") "," FILE_OF(
				      "model", "M.GGUF") "," FILE_OF("lora", "l.gguf"),
				  &f, &e),
			 0);
	assert_string_equal(f.mmproj, "/p/0");
	assert_string_equal(f.model, "/p/1");
	assert_string_equal(f.lora[0], "/p/2");
	assert_int_equal(files_of(FILE_OF("model", "m-00002-of-00002.gguf") "," FILE_OF(
				      "model", "m-00001-of-00002.gguf"),
				  &f, &e),
			 0);
	assert_string_equal(f.model, "/p/1");
	assert_int_equal(files_of("", &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no file of role model"));
	assert_int_equal(files_of(FILE_OF("model", "m.safetensors"), &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "reads GGUF files, not 'm.safetensors'"));
	assert_int_equal(files_of(FILE_OF("vae", "m.gguf"), &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no use for a file of role 'vae'"));
	assert_int_equal(
	    files_of(FILE_OF("model", "a.gguf") "," FILE_OF("model", "b.gguf"), &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not two"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_stream_caps),
	    cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_answer_calls),
	    cmocka_unit_test(test_answer_thoughts_in_text),
	    cmocka_unit_test(test_answer_garbage),
	    cmocka_unit_test(test_answer_caps),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_request_reasoning),
	    cmocka_unit_test(test_wrong_requests),
	    cmocka_unit_test(test_context),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
