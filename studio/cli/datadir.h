/* datadir.h - the studio's data folder: its lock, the admin token, and the address that commands
 * find it by. SPDX-License-Identifier: MIT */
#ifndef CLI_DATADIR_H
#define CLI_DATADIR_H

#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "lib/base/secret.h"

struct datadir {
	char *path, *db, *results, *address_file, *token_file, *lock_file;
	int lock;	     /* -1: not held */
	char *address;	     /* once announced */
	struct secret token; /* admin */
};

/* The names only; touches nothing. */
void datadir_init(struct datadir *d, const char *path);
void datadir_fini(struct datadir *d); /* and lets the lock go */
/* For `serve`: makes the folder (0700), takes the lock, reads or makes the token (0600). Errors
 * name the remedy. */
int datadir_open(struct datadir *d, struct rng *rng, struct err *e) MUST_CHECK;
/* Says where the studio listens, for the commands; datadir_withdraw() takes it back. */
int datadir_announce(struct datadir *d, const char *listen, int port, struct err *e) MUST_CHECK;
void datadir_withdraw(struct datadir *d);
/* For commands: the token, and the address ("http://127.0.0.1:8787"); free() it. NULL with e
 * (ENOENT: no studio runs). */
char *datadir_find(struct datadir *d, struct err *e) MUST_CHECK;

#endif
