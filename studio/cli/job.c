/* job.c - what `studiod jobs JOB` does with one job: shows it, waits for it, fetches its result,
 * cancels it, queues it again. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/cli/follow.h"
#include "studio/cli/ids.h"
#include "studio/cli/job.h"
#include "studio/cli/options.h"
#include "studio/cli/result.h"
#include "studio/cli/table.h"

static int change(struct client *c, const char *id, const char *method, const char *path,
		  const char *said)
{
	auto_free char *url = url_path(c->base, path, id);
	json_t *body = strcmp(method, "POST") == 0 ? json_object() : NULL, *out = NULL;
	int rc = client_call(c, method, url, body, &out);

	if (rc == 0)
		printf("%s %s\n", said, id);
	json_decref(body);
	json_decref(out);
	return rc;
}

/* The API removes a job that is over; to cancel is to end one that is not. */
static int cancel(struct client *c, const json_t *job)
{
	const char *id = text_of(job, "id");

	if (!job_is_over(job))
		return change(c, id, "DELETE", "/jobs/%s", "cancelled");
	fprintf(stderr, "studiod: job %s is over (%s); there is nothing to cancel\n", id,
		text_of(job, "state"));
	return EXIT_FAILED;
}

static int deliver(struct client *c, json_t **job, const struct job_options *o)
{
	int rc = o->wait ? follow_job(c, job) : 0;

	if (rc)
		return rc;
	if (job_is_over(*job))
		return result_deliver(c, *job, o->output);
	fprintf(stderr, "studiod: job %s is not done yet (%s); add --wait to wait for it\n",
		text_of(*job, "id"), text_of(*job, "state"));
	return EXIT_FAILED;
}

static int act(struct client *c, json_t **job, const struct job_options *o)
{
	if (o->cancel)
		return cancel(c, *job);
	if (o->retry)
		return change(c, text_of(*job, "id"), "POST", "/jobs/%s/retry", "queued again");
	if (o->wait || o->output)
		return deliver(c, job, o);
	json_dumpf(*job, stdout, JSON_INDENT(2));
	putchar('\n');
	return EXIT_OK;
}

int job_run(struct client *c, const char *given, const struct job_options *o)
{
	auto_free char *id = NULL;
	auto_free char *url = NULL;
	json_t *job = NULL;
	int rc = ids_find_job(c, given, &id);

	if (rc == 0) {
		url = url_path(c->base, "/jobs/%s", id);
		rc = client_call(c, "GET", url, NULL, &job);
	}
	if (rc == 0)
		rc = act(c, &job, o);
	json_decref(job);
	return rc;
}
