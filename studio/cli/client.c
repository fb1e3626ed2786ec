/* client.c - a command's line to the running studio: its HTTP API, found through the data folder.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/net.h"
#include "lib/net/url.h"
#include "lib/wire/frame.h"
#include "studio/api/api.h"
#include "studio/cli/client.h"
#include "studio/cli/options.h"

#define CALL_MS	   30000
#define REPLY_MAX  ((size_t)64 << 20)
#define RESULT_MAX ((size_t)4 << 30)

bool client_open(struct client *c, const struct settings *s)
{
	struct err e = ERR_INIT;

	datadir_init(&c->data, s->data_dir);
	c->address = datadir_find(&c->data, &e);
	c->base = NULL;
	if (c->address) {
		c->base = xasprintf("%s%s", c->address, API_PREFIX);
		return true;
	}
	fprintf(stderr, "studiod: %s\n", e.text);
	client_fini(c);
	return false;
}

void client_fini(struct client *c)
{
	datadir_fini(&c->data);
	free(c->address);
	free(c->base);
	c->address = c->base = NULL;
}

/* What the studio said is wrong, in its own words. */
static int refused(int status, const char *body, size_t len)
{
	struct err e = ERR_INIT;
	json_t *json = json_parse(body, len, &e);
	const char *text = json_string_value(json_object_get(json, "message"));

	if (text)
		fprintf(stderr, "studiod: %s\n", text);
	else
		fprintf(stderr, "studiod: the studio answered with HTTP status %d\n", status);
	json_decref(json);
	return EXIT_FAILED;
}

static int exchange(struct client *c, struct http_request *q, char **body, size_t *len)
{
	struct err e = ERR_INIT;
	int status;

	q->bearer = &c->data.token;
	status = http_simple(q, NULL, body, len, &e);
	if (status < 0) {
		fprintf(stderr,
			"studiod: the studio at %s does not answer (%s); is it running? start it "
			"with: studiod --data %s serve\n",
			c->address, e.text, c->data.path);
		return EXIT_NO_STUDIO;
	}
	if (status < 200 || status > 299)
		return refused(status, *body ? *body : "", *body ? *len : 0);
	return 0;
}

static int parse_reply(const char *body, size_t len, json_t **out)
{
	struct err e = ERR_INIT;

	*out = json_parse(body, len, &e);
	if (*out)
		return 0;
	fprintf(stderr, "studiod: the studio's answer is not understood: %s\n", e.text);
	return EXIT_FAILED;
}

int client_call(struct client *c, const char *method, const char *url, json_t *body, json_t **out)
{
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	auto_free char *reply = NULL;
	size_t len = 0;
	struct http_request q = {
	    .method = method,
	    .url = url,
	    .json = text,
	    .timeout_ms = CALL_MS,
	    .max_reply = REPLY_MAX,
	};
	int rc = exchange(c, &q, &reply, &len);

	return rc ? rc : parse_reply(reply ? reply : "", len, out);
}

int client_result(struct client *c, const char *job_id, char **data, size_t *len)
{
	auto_free char *url = url_path(c->base, "/jobs/%s/result", job_id);
	struct http_request q = {.method = "GET", .url = url, .max_reply = RESULT_MAX};

	*data = NULL;
	return exchange(c, &q, data, len);
}
