/* registration.h - the bodies of the two registration exchanges (docs/protocol.md, section 2).
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_REGISTRATION_H
#define WIRE_REGISTRATION_H

#include "lib/base/secret.h"
#include "lib/wire/capabilities.h"

struct register_request {
	char *install_id;  /* UUID */
	char *secret_hash; /* 64 hex digits */
	char *user_agent;  /* may be NULL */
	struct capabilities *capabilities;
	json_t *capabilities_json; /* as received */
};
int register_request_decode(const char *text, size_t len, struct register_request **out,
			    struct err *e) MUST_CHECK;
void register_request_free(struct register_request *r);
char *register_request_encode(const char *install_id, const char *secret_hash,
			      const struct capabilities *c, const char *user_agent);

/* Answer to the request: {requestId, status}. *request_id is the caller's. */
int register_answer_decode(const char *text, size_t len, char **request_id,
			   struct err *e) MUST_CHECK;
char *register_answer_encode(const char *request_id);

enum decision { DECISION_PENDING, DECISION_APPROVED, DECISION_REJECTED };
struct poll_answer {
	enum decision decision;
	char *worker_id;	  /* approved */
	struct secret auth_token; /* approved */
	char *reason;		  /* rejected */
};
int poll_answer_decode(const char *text, size_t len, struct poll_answer *out,
		       struct err *e) MUST_CHECK;
void poll_answer_fini(struct poll_answer *a);
char *poll_answer_encode(const struct poll_answer *a);

#endif
