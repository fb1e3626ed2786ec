/* launch.c - what a server's process needs before it can start: a folder, a port, a key, its words.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/fs/fs.h"
#include "worker/host/internal.h"

#define KEY_BYTES 32

bool port_is_taken(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	/* Old connections don't count, a listener does. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	bool taken = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EADDRINUSE;
	close(fd);
	return taken;
}

/* The kernel gives them out at random: another program gets this one in between hardly ever. */
static int free_port(int *port, struct err *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		int code = errno;
		if (fd >= 0)
			close(fd);
		return err_sys(e, code, "cannot get a port for an engine");
	}
	close(fd);
	*port = ntohs(a.sin_port);
	return 0;
}

static int write_key(struct server *s, const char *path, struct err *e)
{
	char key[2 * KEY_BYTES + 2];
	struct rng rng;
	int rc = 0;
	rng_init_system(&rng);
	rng_hex(&rng, key, KEY_BYTES);
	secret_set(&s->key, key);
	key[sizeof key - 2] = '\n';
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, key, sizeof key - 1) != (ssize_t)sizeof key - 1)
		rc = err_sys(e, errno, "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	explicit_bzero(key, sizeof key);
	return rc;
}

/* Whole arguments only: a model's file may well be called "{port}.gguf". */
static const char *filled(const char *word, const char *port, const char *key, const char *dir)
{
	if (strcmp(word, "{port}") == 0)
		return port;
	if (strcmp(word, "{key}") == 0)
		return key;
	return strcmp(word, "{dir}") == 0 ? dir : word;
}

/* program, then argv with the names of host.h filled in; NULL-terminated, free_words() it. */
static char **words_of(const struct server *s, const char *key_path, const char *dir)
{
	size_t n = 0;
	char port[16];
	snprintf(port, sizeof port, "%d", s->port);
	while (s->spec.argv && s->spec.argv[n])
		n++;
	char **words = xcalloc(n + 2, sizeof *words);
	words[0] = xstrdup(s->spec.s.program);
	for (size_t i = 0; i < n; i++)
		words[i + 1] = xstrdup(filled(s->spec.argv[i], port, key_path, dir));
	return words;
}

static void free_words(char **words)
{
	for (char **w = words; *w; w++)
		free(*w);
	free(words);
}

/* The driver's, and the mark. Only the array is the caller's. */
static const char **environment_of(const struct server *s)
{
	size_t n = 0;
	while (s->spec.env && s->spec.env[n])
		n++;
	const char **env = xcalloc(n + 2, sizeof *env);
	for (size_t i = 0; i < n; i++)
		env[i] = s->spec.env[i];
	env[n] = s->orphan.env;
	return env;
}

static int spawn_server(struct server *s, const struct child_events *ev, const char *key_path,
			struct err *e)
{
	char **words = words_of(s, key_path, s->warm.dir);
	auto_free const char **env = environment_of(s);
	struct child_spec spec = {.argv = (const char *const *)words, .env = env};
	s->child = child_start(s->host->loop, &spec, ev, s, e);
	free_words(words);
	if (!s->child)
		return -e->code;
	s->pid = child_pid(s->child);
	return orphan_record(&s->orphan, s->pid, e);
}

int server_launch(struct server *s, const struct child_events *ev, struct err *e)
{
	int rc = orphan_begin(&s->orphan, s->host->engines_dir, e);
	if (rc < 0 || (rc = free_port(&s->port, e)) < 0)
		return rc;
	auto_free char *key_path = fs_join(s->orphan.folder, "key");
	s->warm.dir = fs_join(s->orphan.folder, "dir");
	s->base_url = xasprintf("http://127.0.0.1:%d", s->port);
	s->warm.base_url = s->base_url;
	s->warm.key = &s->key;
	s->warm.fresh = true;
	rc = write_key(s, key_path, e);
	return rc < 0 ? rc : spawn_server(s, ev, key_path, e);
}
