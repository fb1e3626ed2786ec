/* admission.h - letting workers in: register-request, polls, the operator's decision, tokens
 * (docs/protocol.md, section 2). Free of HTTP so that the simulator drives it.
 * SPDX-License-Identifier: MIT */
#ifndef HUB_ADMISSION_H
#define HUB_ADMISSION_H

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "lib/base/secret.h"
#include "studio/storage/storage.h"

struct admission;
struct admission_deps {
	struct clock *clock;
	struct log *log;
	struct rng *rng;
	struct storage *storage;
	unsigned per_minute; /* register-requests a source address, 10 */
};
struct admission *admission_new(const struct admission_deps *d);
void admission_free(struct admission *a);

/* HTTP status and body to answer with (JSON text, valid during the call). */
typedef void admission_done(void *arg, int status, const char *json);
void admission_request(struct admission *a, const char *peer, const char *body, size_t len,
		       admission_done *done, void *arg);
void admission_poll(struct admission *a, const char *request_id, const struct secret *bearer,
		    admission_done *done, void *arg);
/* reason NULL: approve; its length is the caller's to bound. 200 {requestId, status, workerId?};
 * 404; 409 when it was decided already. */
void admission_decide(struct admission *a, const char *request_id, const char *reason,
		      admission_done *done, void *arg);

#endif
