/* socket.h - where the control API of a state folder listens: state/control.sock, owner-only.
 * SPDX-License-Identifier: MIT */
#ifndef API_SOCKET_H
#define API_SOCKET_H

#include "lib/base/err.h"

/* The address of a Unix socket holds 107 bytes. A longer path is reached through a descriptor of
 * its folder
 * (/proc/self/fd/N/control.sock), which stays open as long as this. */
struct socket_place {
	char *path;
	int folder_fd; /* -1: not needed */
};
int socket_place_init(struct socket_place *p, const char *state_dir, struct err *e) MUST_CHECK;
void socket_place_fini(struct socket_place *p);

#endif
