/* registration.c - see registration.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/registration.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/wire/fields.h"
#include "lib/wire/frame.h"

static const struct field request_rows[] = {
    FIELD_TEXT(register_request, install_id, "installId", true, FIELD_ID_MAX),
    FIELD_TEXT(register_request, secret_hash, "registrationSecretHash", true, FIELD_ID_MAX),
    FIELD_TEXT(register_request, user_agent, "userAgent", false, FIELD_ID_MAX),
    FIELD_TREE(register_request, capabilities_json, "capabilities", FIELD_OBJECT, true),
};

static bool hex64(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static int decode_request(json_t *json, struct register_request *r, struct err *e)
{
	int rc = fields_read(json, "request", request_rows, ARRAY_LEN(request_rows), r, e);
	if (rc)
		return rc;
	if (!uuid_valid(r->install_id))
		return err_set(e, EPROTO, "request.installId must be a UUID");
	if (!hex64(r->secret_hash))
		return err_set(e, EPROTO, "request.registrationSecretHash must be 64 hex digits");
	return capabilities_decode(r->capabilities_json, &r->capabilities, e);
}

int register_request_decode(const char *text, size_t len, struct register_request **out,
			    struct err *e)
{
	json_t *json = json_parse(text, len, e);
	if (!json)
		return -EPROTO;
	struct register_request *r = xcalloc(1, sizeof *r);
	int rc = decode_request(json, r, e);
	json_decref(json);
	if (rc) {
		register_request_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void register_request_free(struct register_request *r)
{
	if (!r)
		return;
	free(r->install_id);
	free(r->secret_hash);
	free(r->user_agent);
	capabilities_free(r->capabilities);
	json_decref(r->capabilities_json);
	free(r);
}

char *register_request_encode(const char *install_id, const char *secret_hash,
			      const struct capabilities *c, const char *user_agent)
{
	json_t *json = json_object();
	json_set_text(json, "installId", install_id);
	json_set_text(json, "registrationSecretHash", secret_hash);
	json_object_set_new(json, "capabilities", capabilities_encode(c));
	json_set_text(json, "userAgent", user_agent);
	return json_finish(json);
}

struct answer {
	char *request_id, *status;
};
static const struct field answer_rows[] = {
    FIELD_TEXT(answer, request_id, "requestId", true, FIELD_ID_MAX),
    FIELD_TEXT(answer, status, "status", false, FIELD_ID_MAX),
};

int register_answer_decode(const char *text, size_t len, char **request_id, struct err *e)
{
	json_t *json = json_parse(text, len, e);
	if (!json)
		return -EPROTO;
	struct answer a = {NULL, NULL};
	int rc = fields_read(json, "answer", answer_rows, ARRAY_LEN(answer_rows), &a, e);
	if (!rc && !*a.request_id)
		rc = err_set(e, EPROTO, "answer.requestId is empty");
	json_decref(json);
	free(a.status);
	if (rc)
		free(a.request_id);
	else
		*request_id = a.request_id;
	return rc;
}

char *register_answer_encode(const char *request_id)
{
	json_t *json = json_object();
	json_set_text(json, "requestId", request_id);
	json_set_text(json, "status", "pending");
	return json_finish(json);
}

struct poll_fields {
	char *status;
	struct poll_answer answer;
};
static const struct field poll_rows[] = {
    FIELD_TEXT(poll_fields, status, "status", true, FIELD_ID_MAX),
    FIELD_TEXT(poll_fields, answer.worker_id, "workerId", false, FIELD_ID_MAX),
    {"authToken", FIELD_SECRET, false, offsetof(struct poll_fields, answer.auth_token), 0, 0,
     FIELD_URL_MAX},
    FIELD_TEXT(poll_fields, answer.reason, "reason", false, FIELD_URL_MAX),
};

/* A token with a line break would be saved, and then be refused at every connection. */
static bool header_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int judge(struct poll_fields *f, struct err *e)
{
	struct poll_answer *a = &f->answer;
	if (!strcmp(f->status, "pending"))
		a->decision = DECISION_PENDING;
	else if (!strcmp(f->status, "rejected"))
		a->decision = DECISION_REJECTED;
	else if (strcmp(f->status, "approved") != 0)
		return err_set(e, EPROTO, "answer.status is none this worker knows");
	else if (!a->worker_id || !*a->worker_id || !secret_is_set(&a->auth_token))
		return err_set(e, EPROTO, "answer says approved without workerId or authToken");
	else if (!header_text(secret_reveal(&a->auth_token)))
		return err_set(e, EPROTO,
			       "answer's authToken holds characters that no HTTP header may hold");
	else
		a->decision = DECISION_APPROVED;
	return 0;
}

int poll_answer_decode(const char *text, size_t len, struct poll_answer *out, struct err *e)
{
	json_t *json = json_parse(text, len, e);
	if (!json)
		return -EPROTO;
	struct poll_fields f = {NULL, {DECISION_PENDING, NULL, {NULL}, NULL}};
	int rc = fields_read(json, "answer", poll_rows, ARRAY_LEN(poll_rows), &f, e);
	if (!rc)
		rc = judge(&f, e);
	json_decref(json);
	free(f.status);
	if (rc)
		poll_answer_fini(&f.answer);
	else
		*out = f.answer;
	return rc;
}

void poll_answer_fini(struct poll_answer *a)
{
	free(a->worker_id);
	free(a->reason);
	secret_clear(&a->auth_token);
	*a = (struct poll_answer){DECISION_PENDING, NULL, {NULL}, NULL};
}

char *poll_answer_encode(const struct poll_answer *a)
{
	static const char *const names[] = {"pending", "approved", "rejected"};
	json_t *json = json_object();
	json_set_text(json, "status", names[a->decision]);
	json_set_text(json, "workerId", a->worker_id);
	if (secret_is_set(&a->auth_token))
		json_set_text(json, "authToken", secret_reveal(&a->auth_token));
	json_set_text(json, "reason", a->reason);
	return json_finish(json);
}
