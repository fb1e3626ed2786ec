/* datadir.c - the studio's data folder: its lock, the admin token, and the address that commands
 * find it by. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "studio/cli/datadir.h"

#define TOKEN_BYTES 32
#define SMALL_FILE  4096

void datadir_init(struct datadir *d, const char *path)
{
	*d = (struct datadir){
	    .path = xstrdup(path),
	    .db = fs_join(path, "studio.db"),
	    .results = fs_join(path, "results"),
	    .address_file = fs_join(path, "address"),
	    .token_file = fs_join(path, "admin-token"),
	    .lock_file = fs_join(path, "lock"),
	    .lock = -1,
	};
}

void datadir_fini(struct datadir *d)
{
	if (d->lock >= 0)
		fs_unlock(d->lock);
	d->lock = -1;
	secret_clear(&d->token);
	free(d->path);
	free(d->address);
	free(d->db);
	free(d->results);
	free(d->address_file);
	free(d->token_file);
	free(d->lock_file);
}

/* First line of a small file. */
static int read_line(const char *path, char **line, struct err *e)
{
	size_t len;
	int rc = fs_read(path, SMALL_FILE, line, &len, e);

	if (rc < 0)
		return rc;
	(*line)[strcspn(*line, "\r\n")] = '\0';
	return 0;
}

static int read_token(struct datadir *d, struct err *e)
{
	auto_free char *line = NULL;
	int rc = read_line(d->token_file, &line, e);

	if (rc < 0)
		return rc;
	if (strlen(line) < TOKEN_BYTES)
		return err_set(
		    e, EINVAL,
		    "%s is damaged; remove it and start the studio again to get a new token",
		    d->token_file);
	secret_set(&d->token, line);
	explicit_bzero(line, strlen(line));
	return 0;
}

static int make_token(struct datadir *d, struct rng *rng, struct err *e)
{
	char text[2 * TOKEN_BYTES + 2];
	int rc;

	rng_hex(rng, text, TOKEN_BYTES);
	secret_set(&d->token, text);
	memcpy(text + (size_t)(2 * TOKEN_BYTES), "\n", 2);
	rc = fs_write_atomic(d->token_file, text, sizeof text - 1, 0600, e);
	explicit_bzero(text, sizeof text);
	return rc;
}

static int take_lock(struct datadir *d, struct err *e)
{
	auto_free char *address = NULL;
	struct err ignored = ERR_INIT;

	d->lock = fs_lock(d->lock_file, e);
	if (d->lock >= 0)
		return 0;
	if (d->lock != -EWOULDBLOCK)
		return err_wrap(e,
				"the data folder %s cannot be used; check its owner, or choose "
				"another with --data",
				d->path);
	if (read_line(d->address_file, &address, &ignored) < 0)
		address = xstrdup("an address it has not said yet");
	return err_set(e, EWOULDBLOCK,
		       "another studiod serves %s already (at %s); stop that one, or choose "
		       "another folder with --data",
		       d->path, address);
}

int datadir_open(struct datadir *d, struct rng *rng, struct err *e)
{
	int rc = fs_mkdirs(d->path, 0700, e);

	if (rc < 0)
		return err_wrap(e, "the data folder %s cannot be made; choose another with --data",
				d->path);
	rc = take_lock(d, e);
	if (rc < 0)
		return rc;
	rc = fs_exists(d->token_file) ? read_token(d, e) : make_token(d, rng, e);
	if (rc < 0)
		return err_wrap(e, "the admin token cannot be %s",
				secret_is_set(&d->token) ? "stored" : "read");
	return 0;
}

/* A studio that listens everywhere is reached over loopback. */
static char *reach(const char *listen, int port)
{
	const char *colon = strrchr(listen, ':');
	auto_free char *host = colon ? xstrndup(listen, (size_t)(colon - listen)) : xstrdup(listen);
	const char *name = host;

	if (!*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
		name = "127.0.0.1";
	else if (strcmp(host, "[::]") == 0)
		name = "[::1]";
	return xasprintf("http://%s:%d", name, port);
}

int datadir_announce(struct datadir *d, const char *listen, int port, struct err *e)
{
	auto_free char *line = NULL;

	free(d->address);
	d->address = reach(listen, port);
	line = xasprintf("%s\n", d->address);

	return fs_write_atomic(d->address_file, line, strlen(line), 0600, e);
}

void datadir_withdraw(struct datadir *d)
{
	fs_remove_tree(d->address_file, NULL);
}

char *datadir_find(struct datadir *d, struct err *e)
{
	auto_free char *address = NULL;
	int rc = read_line(d->address_file, &address, e);

	if (rc == 0)
		rc = read_token(d, e);
	if (rc == -ENOENT || rc == -ENOTDIR)
		err_set(e, ENOENT, "no studiod serves %s; start one with: studiod --data %s serve",
			d->path, d->path);
	else if (rc == -EACCES || rc == -EPERM)
		err_set(e, EACCES,
			"permission denied to the data folder %s; run this as its owner or with "
			"sudo",
			d->path);
	return rc == 0 ? steal(&address) : NULL;
}
