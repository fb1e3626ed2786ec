/* prebuilt_pins.h - which archive is fetched for which machine, and what it needs there.
 * SPDX-License-Identifier: MIT */
#ifndef SD_CPP_PREBUILT_PINS_H
#define SD_CPP_PREBUILT_PINS_H

#include <stdbool.h>
#include <sys/utsname.h>

#include "lib/base/err.h"

struct machine {
	const char *system, *arch;    /* of uname: "Linux", "x86_64" */
	int glibc_major, glibc_minor; /* 0: another C library */
	const char *os;		      /* ID and ID_LIKE of os-release, "debian", "fedora rhel" */
	bool vulkan;		      /* its loader can be opened */
};
struct machine_words {
	struct utsname name;
	char os[512];
};
void machine_look(struct machine *m, struct machine_words *w); /* this one */

struct pin { /* what to fetch */
	const char *url, *sha256;
	bool mirrored; /* the owner's address: its host is allowed */
};
/* url, sha256: of the environment, NULL when not set. -ENOTSUP with the exact remedy. */
int pin_choose(struct pin *p, const struct machine *m, const char *url, const char *sha256,
	       struct err *e) MUST_CHECK;

#endif
