/* states.c - the states of a registration, and which one an identity is in.
 * SPDX-License-Identifier: MIT */
#include "worker/registration/registration.h"

static const char *const state_names[] = {"pristine", "pending", "approved", "rejected"};

const char *registration_state_name(enum registration_state s)
{
	return state_names[s];
}

enum registration_state registration_state_of(const struct identity *id)
{
	if (identity_approved(id))
		return REGISTRATION_APPROVED;
	if (id->rejected_reason)
		return REGISTRATION_REJECTED;
	return id->request_id ? REGISTRATION_PENDING : REGISTRATION_PRISTINE;
}
