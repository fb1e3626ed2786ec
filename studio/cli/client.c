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

static bool find(struct client *c, struct err *e)
{
	char *address = datadir_find(&c->data, e);

	if (!address)
		return false;
	free(c->address);
	free(c->base);
	c->address = address;
	c->base = xasprintf("%s%s", address, API_PREFIX);
	return true;
}

bool client_find_again(struct client *c)
{
	struct err ignored = ERR_INIT;

	return find(c, &ignored);
}

bool client_open(struct client *c, const struct settings *s)
{
	struct err e = ERR_INIT;

	*c = (struct client){0};
	datadir_init(&c->data, s->data_dir);
	if (find(c, &e))
		return true;
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
static void print_refusal(int status, const char *body, size_t len)
{
	struct err e = ERR_INIT;
	json_t *json = json_parse(body, len, &e);
	const char *text = json_string_value(json_object_get(json, "message"));

	if (text)
		fprintf(stderr, "studiod: %s\n", text);
	else
		fprintf(stderr, "studiod: the studio answered with HTTP status %d\n", status);
	json_decref(json);
}

static int exchange(struct client *c, struct http_request *q, char **body, size_t *len)
{
	struct err e = ERR_INIT;
	int status;

	q->bearer = &c->data.token;
	status = http_simple(q, NULL, body, len, &e);
	c->status = status < 0 ? 0 : status;
	if (status >= 200 && status <= 299)
		return 0;
	if (status < 0 && !c->quiet)
		fprintf(stderr,
			"studiod: the studio at %s does not answer (%s); is it running? start it "
			"with: studiod --data %s serve\n",
			c->address, e.text, c->data.path);
	else if (!c->quiet)
		print_refusal(status, *body ? *body : "", *body ? *len : 0);
	if (status < 0)
		return EXIT_NO_STUDIO;
	return status == 400 ? EXIT_USAGE : EXIT_FAILED;
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
