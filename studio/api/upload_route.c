/* upload_route.c - POST …/jobs/{jobId}/complete: a multipart result, fed piece by piece into the
 * intake.
 *
 *   begin: pause ──checked──▶ resume, field/file/data ──end of body──▶ intake_finish ──answer──▶
 * 200 | refusal
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/api/call.h"
#include "studio/api/routes.h"

/* Lives from begin until it is answered or the client left. */
struct upload {
	struct list_node node; /* api.uploads */
	struct api *api;
	struct request *request;
	struct intake *intake; /* NULL: the studio stops */
	bool in_file;	       /* what comes now belongs to the `image` field */
	bool got_file;
};

static void forget(struct upload *u)
{
	list_remove(&u->api->uploads, &u->node);
	free(u);
}

/* After the end of the body the result is accepted all the same: the worker asks again and gets
 * 200. */
static void gone(void *data)
{
	struct upload *u = data;

	intake_abort(u->intake);
	forget(u);
}

/* Ends the upload with an answer; the request forgets it first, so that gone() is not called. */
static void end(struct upload *u, int status, const char *code, const char *text)
{
	struct request *r = u->request;

	request_set_data(r, NULL, NULL);
	forget(u);
	if (code)
		respond_error(r, status, code, "%s", text ? text : code);
	else
		respond_json(r, status, json_pack("{s:s}", "status", "done"));
}

static void refuse(struct upload *u, int status, const char *code, const char *text)
{
	intake_abort(u->intake);
	end(u, status, code, text);
}

static void checked(void *arg, int status, const char *code, const char *text)
{
	struct upload *u = arg;

	if (status == 0)
		request_resume(u->request);
	else
		end(u, status, code ? code : "refused", text);
}

static void answered(void *arg, int status, const char *code, const char *text)
{
	end(arg, status, code, text);
}

static const struct intake_events intake_events = {.checked = checked, .answer = answered};

static void upload_begin(struct request *r, void *arg)
{
	struct api *a = arg;
	struct upload *u = xcalloc(1, sizeof *u);

	u->request = r;
	u->api = a;
	list_push_back(&a->uploads, &u->node);
	request_set_data(r, u, gone);
	request_pause(r);
	u->intake = intake_begin(&a->deps.intake, request_param(r, "workerId"),
				 request_param(r, "jobId"), request_bearer(r), &intake_events, u);
}

static void upload_field(struct request *r, const char *name, const char *value, size_t len)
{
	struct upload *u = request_data(r);
	struct err e = ERR_INIT;

	if (u && intake_field(u->intake, name, value, len, &e) < 0)
		refuse(u, 400, "bad_request", e.text);
}

static void upload_file(struct request *r, const char *name, const char *filename, const char *type)
{
	struct upload *u = request_data(r);

	(void)filename; /* the job's own id and the field `ext` name the result */
	(void)type;
	if (!u)
		return;
	u->in_file = strcmp(name, "image") == 0 && !u->got_file;
}

static void upload_data(struct request *r, const void *data, size_t len)
{
	struct upload *u = request_data(r);
	struct err e = ERR_INIT;

	if (!u || !u->in_file)
		return;
	u->got_file = true;
	if (intake_data(u->intake, data, len, &e) == 0)
		return;
	if (e.code == EFBIG) {
		refuse(u, 413, "too_large", e.text);
		return;
	}
	log_error(u->api->deps.log, "api", NULL, "a result could not be written: %s", e.text);
	refuse(u, 503, "storage_failed", "the studio could not store the result; try again later");
}

const struct multipart_events upload_events = {
    .begin = upload_begin,
    .field = upload_field,
    .file = upload_file,
    .file_data = upload_data,
};

void upload_end(struct request *r, void *arg)
{
	struct upload *u = request_data(r);

	(void)arg;
	if (!u)
		return;
	if (!u->got_file) {
		refuse(u, 400, "bad_request",
		       "image: the multipart field with the result is missing");
		return;
	}
	intake_finish(u->intake);
}

void uploads_end(struct api *a)
{
	list_each (it, &a->uploads) {
		struct upload *u = list_entry(it, struct upload, node);
		intake_abort(steal(&u->intake));
	}
}
