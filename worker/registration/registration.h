/* registration.h - asking a studio to be let in (docs/protocol.md, section 2).
 *
 *   pristine ──request──▶ pending ──poll──▶ approved
 *      ▲                     │ └──────────▶ rejected   (until `register --reset`)
 *      └──── stale (404/401) ┘
 *
 * One HTTP exchange a tick at most; whatever happened is on disk before the next step. The identity
 * (under a kilobyte) is read and saved, fsync included, on the calling thread: a few times in a
 * worker's life, and a pool would only add states between the two.
 * SPDX-License-Identifier: MIT */
#ifndef REGISTRATION_REGISTRATION_H
#define REGISTRATION_REGISTRATION_H

#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/net/transport.h"
#include "worker/config/identity.h"
#include "worker/observe/events.h"

enum registration_state {
	REGISTRATION_PRISTINE,
	REGISTRATION_PENDING,
	REGISTRATION_APPROVED,
	REGISTRATION_REJECTED,
};
const char *registration_state_name(enum registration_state s);
enum registration_state registration_state_of(const struct identity *id); /* as it stands on disk */

struct registration_deps {
	struct clock *clock;
	struct log *log;
	struct rng *rng;
	struct transport *transport;
	struct events *events;
	struct config *config;
	struct identity *identity; /* shared with the session, changed only here and by reset */
	struct capabilities *(*capabilities)(void *arg); /* a fresh snapshot, the caller's */
	void *capabilities_arg;
	uint64_t poll_ms; /* 30,000; STUDIO_WORKER_REGISTER_POLL_MS in tests */
};
struct registration;
struct registration *registration_new(const struct registration_deps *d);
void registration_start(struct registration *r); /* first tick at once */
/* The identity file changed under us (reset by a command): start over from what it says. */
void registration_reload(struct registration *r);
void registration_free(struct registration *r);
enum registration_state registration_state(const struct registration *r);

#endif
