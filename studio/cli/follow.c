/* follow.c - watches a job until it is over, and tells how it goes.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/cli/follow.h"
#include "studio/cli/options.h"
#include "studio/cli/serving.h"
#include "studio/cli/table.h"

#define LOOK_EVERY_US 200000
#define LOST_S	      60 /* how long a studio may be gone */
#define QUEUED_S      5	 /* then it is time to say why */

struct follow {
	struct client *client;
	char *id, *last; /* last: the line shown */
	bool terminal, explained;
	time_t queued_since, lost_since; /* 0: it is not */
};

static time_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1;
}

bool job_is_over(const json_t *job)
{
	return strcmp(text_of(job, "state"), "done") == 0 ||
	       strcmp(text_of(job, "state"), "failed") == 0;
}

/* A line of its own, also where one is being redrawn. */
static void say(struct follow *f, const char *text)
{
	fprintf(stderr, "%s%s\n", f->terminal && f->last ? "\r\033[K" : "", text);
	str_replace(&f->last, NULL);
}

/* In steps of ten where every change is a line that stays. */
static char *progress_line(const struct follow *f, const json_t *job)
{
	const json_t *p = json_object_get(job, "progress"),
		     *fraction = json_object_get(p, "fraction");
	auto_free char *stage = p ? clean_text(text_of(p, "stage")) : xstrdup("");
	double share = json_number_value(fraction);
	int percent = share >= 0 && share <= 1 ? (int)(share * 100 + 1e-9) : 0;
	auto_free char *done = NULL;

	if (!f->terminal)
		percent -= percent % 10;
	done = json_is_number(fraction) ? xasprintf(" %d %%", percent) : xstrdup("");
	return xasprintf("%s: %s%s%s%s", f->id, text_of(job, "state"), p ? ", " : "", stage, done);
}

static void show(struct follow *f, const json_t *job)
{
	auto_free char *line = progress_line(f, job);

	if (!f->last || strcmp(f->last, line) != 0) {
		if (f->terminal)
			fprintf(stderr, "\r\033[K%.*s",
				(int)bytes_of(line, terminal_width(STDERR_FILENO) - 1), line);
		else
			fprintf(stderr, "%s\n", line);
		str_replace(&f->last, line);
	}
	if (f->terminal && job_is_over(job))
		fputc('\n', stderr);
}

/* A job that nobody takes: why not, once each time it is back in the queue. */
static void explain(struct follow *f, const json_t *job)
{
	auto_free char *why = NULL;

	if (strcmp(text_of(job, "state"), "queued") != 0) {
		f->queued_since = 0;
		f->explained = false;
		return;
	}
	if (!f->queued_since)
		f->queued_since = seconds();
	if (f->explained || seconds() - f->queued_since <= QUEUED_S)
		return;
	f->explained = true;
	why = serving_obstacle(f->client, job);
	if (!why && text_of(job, "waiting")[0])
		why = clean_text(text_of(job, "waiting"));
	if (why)
		say(f, why);
}

static bool still_hoping(struct follow *f)
{
	auto_free char *text = NULL;

	if (!f->lost_since) {
		f->lost_since = seconds();
		text = xasprintf("the studio does not answer; trying again for %d s", LOST_S);
		say(f, text);
	}
	(void)client_find_again(f->client);
	return seconds() - f->lost_since <= LOST_S;
}

/* *job is kept when the studio is gone for now. */
static int look(struct follow *f, json_t **job)
{
	auto_free char *url = url_path(f->client->base, "/jobs/%s", f->id);
	json_t *now = NULL;
	int rc;

	f->client->quiet = true;
	rc = client_call(f->client, "GET", url, NULL, &now);
	f->client->quiet = false;
	if (rc == EXIT_NO_STUDIO && still_hoping(f))
		return 0;
	if (rc) /* the last try says what is wrong */
		rc = client_call(f->client, "GET", url, NULL, &now);
	if (rc)
		return rc;
	f->lost_since = 0;
	json_decref(*job);
	*job = now;
	return 0;
}

int follow_job(struct client *c, json_t **job)
{
	struct follow f = {
	    .client = c,
	    .id = xstrdup(text_of(*job, "id")),
	    .terminal = isatty(STDERR_FILENO),
	};
	int rc = 0;

	for (;;) {
		if (!f.lost_since) {
			show(&f, *job);
			explain(&f, *job);
		}
		if (job_is_over(*job))
			break;
		usleep(LOOK_EVERY_US);
		rc = look(&f, job);
		if (rc)
			break;
	}
	if (rc)
		fprintf(stderr,
			"studiod: job %s may go on without this command; follow it with: studiod "
			"jobs %s --wait\n",
			f.id, f.id);
	free(f.id);
	free(f.last);
	return rc;
}
