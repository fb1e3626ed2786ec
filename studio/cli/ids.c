/* ids.c - the ids people type: a beginning that fits one of them only is enough.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/cli/ids.h"
#include "studio/cli/options.h"
#include "studio/cli/table.h"

#define PAGES_MAX 50 /* of 200 jobs: older ones need their whole id */

/* What begins with `given` so far; several: `id` is the first of them. */
struct search {
	const char *given;
	char *id;
	size_t hits;
};

static void look(struct search *s, const json_t *list, const char *key)
{
	const char *dash = strchr(s->given, '-');
	size_t i;
	json_t *o;

	if (!dash || !dash[1]) /* "job-" alone says nothing */
		return;
	json_array_foreach (list, i, o) {
		const char *id = text_of(o, key);
		if (strncmp(id, s->given, strlen(s->given)) != 0)
			continue;
		s->hits++;
		if (!s->id)
			s->id = xstrdup(id);
	}
}

/* One page of jobs; *cursor becomes that of the next, NULL at the end. */
static int look_at_page(struct client *c, struct search *s, char **cursor)
{
	auto_free char *first = xasprintf("%s/jobs?limit=200", c->base);
	auto_free char *url = *cursor ? xasprintf("%s&cursor=%s", first, *cursor) : xstrdup(first);
	json_t *out = NULL;
	int rc = client_call(c, "GET", url, NULL, &out);

	if (rc == 0) {
		look(s, json_object_get(out, "jobs"), "id");
		str_replace(cursor, json_string_value(json_object_get(out, "nextCursor")));
	}
	json_decref(out);
	return rc;
}

static int look_at_jobs(struct client *c, struct search *s)
{
	auto_free char *cursor = NULL;
	int rc = 0;

	for (int page = 0; rc == 0 && page < PAGES_MAX; page++) {
		rc = look_at_page(c, s, &cursor);
		if (!cursor)
			break;
	}
	return rc;
}

static int several(const struct search *s, const char *what, const char *list)
{
	fprintf(stderr, "studiod: %zu %s begin with %s; give more of the id (studiod %s)\n",
		s->hits, what, s->given, list);
	return EXIT_FAILED;
}

static bool has_job(struct client *c, const char *id)
{
	auto_free char *url = url_path(c->base, "/jobs/%s", id);
	json_t *out = NULL;
	int rc;

	c->quiet = true;
	rc = client_call(c, "GET", url, NULL, &out);
	c->quiet = false;
	json_decref(out);
	return rc == 0;
}

int ids_find_job(struct client *c, const char *given, char **id)
{
	struct search s = {.given = given};
	int rc;

	if (has_job(c, given)) {
		*id = xstrdup(given);
		return 0;
	}
	rc = look_at_jobs(c, &s);
	*id = s.id;
	if (rc == 0 && s.hits > 1)
		return several(&s, "jobs", "jobs");
	if (rc == 0 && !s.id) {
		fprintf(stderr, "studiod: no job has the id %s; 'studiod jobs' lists them\n",
			given);
		return EXIT_FAILED;
	}
	return rc;
}

int ids_find_request(struct client *c, const char *given, char **id)
{
	auto_free char *url = url_path(c->base, "/workers/pending");
	struct search s = {.given = given};
	json_t *out = NULL;
	int rc = client_call(c, "GET", url, NULL, &out);

	if (rc == 0)
		look(&s, json_object_get(out, "requests"), "requestId");
	json_decref(out);
	*id = s.id ? s.id : xstrdup(given);
	return rc == 0 && s.hits > 1 ? several(&s, "requests", "workers") : rc;
}
