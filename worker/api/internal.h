/* internal.h - what the files of the api room share.
 * SPDX-License-Identifier: MIT */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include "worker/api/control.h"
#include "worker/api/socket.h"

struct control {
	struct control_deps d;
	struct socket_place place;
	struct server *server;
};

#endif
