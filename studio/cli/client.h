/* client.h - a command's line to the running studio: its HTTP API, found through the data folder.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>

#include "studio/cli/datadir.h"
#include "studio/cli/settings.h"

struct client {
	struct datadir data;
	char *address, *base; /* base: with the API's prefix, what url_path() starts from */
	bool quiet;	      /* calls print no errors: the caller has something better to do */
	int status;	      /* of the last call; 0: the studio did not answer */
};

/* False when no studio runs there: it has said so, exit with EXIT_NO_STUDIO. */
bool client_open(struct client *c, const struct settings *s);
void client_fini(struct client *c);
/* Looks where the studio is by now: it may have started anew. Prints nothing. */
bool client_find_again(struct client *c);

/* One call. Returns 0 with *out (new reference), else the exit code after printing the studio's or
 * the network's error: EXIT_USAGE where the studio found the request itself wrong. body (may be
 * NULL) is borrowed. */
int client_call(struct client *c, const char *method, const char *url, json_t *body,
		json_t **out) MUST_CHECK;
/* Bytes of a result; free() *data. */
int client_result(struct client *c, const char *job_id, char **data, size_t *len) MUST_CHECK;

#endif
