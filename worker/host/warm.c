/* warm.c - the life of one server: started on a port of its own, asked until it is ready, ended as
 * a group, gone once its memory is back. See the diagram in host.h.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/time.h"
#include "lib/fs/fs.h"
#include "worker/host/internal.h"

#define POLL_FIRST_MS	50
#define POLL_MAX_MS	250
#define POLL_TOTAL_MS	5000
#define POLL_CONNECT_MS 1000
#define POLL_MAX_REPLY	(1u << 20)
#define MEMORY_CHECK_MS 20
#define MEMORY_WAIT_MS	2000 /* drivers give a dead process's memory back within some 100 ms */
#define KEY_BYTES	32
#define GB(bytes)	((double)(bytes) / (double)(1ull << 30))

/* ---- states ---- */

const char *warm_state_name(enum warm_state st)
{
	static const char *const names[] = {"none",	 "loading", "loaded",
					    "unloading", "failed",  "gone"};
	return names[st];
}

bool warm_can_move(enum warm_state from, enum warm_state to)
{
	static const unsigned allowed[] = {
	    [WARM_NONE] = 1u << WARM_LOADING,
	    [WARM_LOADING] = 1u << WARM_LOADED | 1u << WARM_UNLOADING | 1u << WARM_FAILED,
	    [WARM_LOADED] = 1u << WARM_UNLOADING | 1u << WARM_FAILED,
	    [WARM_UNLOADING] = 1u << WARM_GONE,
	    [WARM_FAILED] = 1u << WARM_GONE,
	    [WARM_GONE] = 0,
	};
	return allowed[from] >> to & 1u;
}

void warm_move(struct server *s, enum warm_state to)
{
	if (!warm_can_move(s->state, to)) {
		log_error(s->host->log, "host", NULL, "%s %s: impossible move from %s to %s",
			  s->spec.s.engine, s->spec.s.model, warm_state_name(s->state),
			  warm_state_name(to));
		abort();
	}
	log_debug(s->host->log, "host", NULL, "%s %s (process %d): %s -> %s", s->spec.s.engine,
		  s->spec.s.model, s->pid, warm_state_name(s->state), warm_state_name(to));
	s->state = to;
}

/* ---- its end ---- */

static void gone(struct server *s)
{
	timer_stop(&s->memory_check);
	warm_move(s, WARM_GONE);
	host_pump(s->host);
}

static void check_memory(void *arg)
{
	struct server *s = arg;
	uint64_t free_now, waited = clock_now(&s->host->loop->clock) - s->memory_since;
	bool back = room_returned(s, &free_now);
	if (!back && waited < MEMORY_WAIT_MS) {
		timer_start(&s->memory_check, &s->host->loop->clock, MEMORY_CHECK_MS, check_memory,
			    s);
		return;
	}
	if (!back)
		log_warn(s->host->log, "host", NULL,
			 "%s %s: ended, but %d s later %.1f GB of GPU memory are free; before it "
			 "was started there were %.1f GB",
			 s->spec.s.engine, s->spec.s.model, MEMORY_WAIT_MS / 1000, GB(free_now),
			 GB(s->free_before));
	else
		log_info(s->host->log, "host", NULL,
			 "%s %s: ended; %.1f GB of GPU memory are free, %llu ms after its exit",
			 s->spec.s.engine, s->spec.s.model, GB(free_now),
			 (unsigned long long)waited);
	gone(s);
}

static void sweep(struct work *w)
{
	struct server *s = container_of(w, struct server, sweep);
	s->swept = orphan_sweep(s->orphan.mark);
}

static void swept(struct work *w)
{
	struct server *s = container_of(w, struct server, sweep);
	s->sweeping = false;
	if (s->abandoned) {
		server_drop(s);
		return;
	}
	if (s->swept)
		log_warn(s->host->log, "host", NULL,
			 "%s %s: killed %d process%s it had left behind", s->spec.s.engine,
			 s->spec.s.model, s->swept, s->swept == 1 ? "" : "es");
	check_memory(s);
}

static void stop_timers(struct server *s)
{
	fetch_cancel(s->poll);
	s->poll = NULL;
	timer_stop(&s->next_poll);
	timer_stop(&s->load_deadline);
}

/* No process is left but what it left behind. */
static void finish(struct server *s)
{
	s->memory_since = clock_now(&s->host->loop->clock);
	s->sweeping = true;
	s->sweep = (struct work){.run = sweep, .after = swept};
	pool_submit(&s->host->loop->pool, &s->sweep);
}

void server_end(struct server *s, enum warm_state to, const struct err *why)
{
	struct gpu_memory m;
	if (!server_live(s))
		return;
	device_gpu_memory(s->host->device, &m);
	s->free_at_end = m.free;
	stop_timers(s);
	warm_move(s, to);
	if (why)
		s->why = *why;
	leases_lose(s, &s->why, !s->no_retry);
	if (s->child)
		child_kill(s->child);
	else
		finish(s);
}

/* "sd-cpp ended with exit code 1 before it was ready: [ERROR] …" */
static void describe_end(const struct server *s, const struct child_end *end, struct err *e)
{
	const char *line = lines_error(&s->lines), *sep = line[0] ? ": " : "";
	const char *when = s->state == WARM_LOADING ? " before it was ready" : "";
	if (end->signal)
		err_set(e, EIO, "%s was ended by signal %d (%s)%s%s%s", s->spec.s.engine,
			end->signal, strsignal(end->signal), when, sep, line);
	else
		err_set(e, EIO, "%s ended with exit code %d%s%s%s", s->spec.s.engine,
			end->exit_code, when, sep, line);
}

static bool port_is_taken(int port)
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

/* It ended, and nobody had asked for that. */
static void died(struct server *s, const struct child_end *end)
{
	struct host *h = s->host;
	bool again = s->state == WARM_LOADING && !s->second_port && port_is_taken(s->port);
	describe_end(s, end, &s->why);
	log_warn(h->log, "host", NULL, "%s %s: %s", s->spec.s.engine, s->spec.s.model, s->why.text);
	stop_timers(s);
	warm_move(s, WARM_FAILED);
	if (again && !h->closing) {
		log_info(h->log, "host", NULL, "%s: port %d was taken meanwhile, trying another",
			 s->spec.s.engine, s->port);
		struct server *next = server_start(h, &s->spec.s, true);
		if (server_live(next))
			leases_hand_over(s, next);
	}
	leases_lose(s, &s->why, true);
}

static void on_end(void *arg, const struct child_end *end)
{
	struct server *s = arg;
	s->child = NULL;
	/* Killed by the loop, which settles: the program is about to end. */
	if (end->cancelled && server_live(s)) {
		s->host->closing = true;
		err_set(&s->why, ECANCELED, "the worker is shutting down");
		stop_timers(s);
		warm_move(s, WARM_UNLOADING);
		leases_lose(s, &s->why, true);
	} else if (server_live(s)) {
		died(s, end);
	}
	finish(s);
	host_pump(s->host);
}

/* ---- its beginning ---- */

static void on_line(void *arg, int fd, const char *line)
{
	struct server *s = arg;
	/* The loop's own idea of now is exact enough, and costs nothing a line. */
	if (!lines_take(&s->lines, uv_now(&s->host->loop->uv), fd, line))
		return;
	if (s->state == WARM_LOADING && s->spec.s.loading) {
		double fraction = s->spec.s.loading(line);
		if (fraction >= 0)
			leases_loading(s, fraction > 1 ? 1 : fraction);
	}
	leases_line(s, fd, line);
}

static void poll_ready(void *arg);

static void on_answer(void *arg, const struct fetch_reply *reply)
{
	struct server *s = arg;
	s->poll = NULL;
	if (reply->status != 200) {
		timer_start(&s->next_poll, &s->host->loop->clock, s->poll_ms, poll_ready, s);
		s->poll_ms = s->poll_ms * 3 / 2 > POLL_MAX_MS ? POLL_MAX_MS : s->poll_ms * 3 / 2;
		return;
	}
	timer_stop(&s->load_deadline);
	room_measure(s);
	s->used_ms = clock_now(&s->host->loop->clock);
	warm_move(s, WARM_LOADED);
	log_info(s->host->log, "host", NULL, "%s %s: ready (process %d)", s->spec.s.engine,
		 s->spec.s.model, s->pid);
	host_pump(s->host);
}

static void poll_ready(void *arg)
{
	struct server *s = arg;
	auto_free char *url = xasprintf("%s%s", s->base_url, s->spec.s.ready_path);
	struct fetch_request r = {.url = url,
				  .bearer = &s->key,
				  .connect_ms = POLL_CONNECT_MS,
				  .total_ms = POLL_TOTAL_MS};
	s->poll = fetch_whole(s->host->net, &r, POLL_MAX_REPLY, on_answer, s);
}

static void overdue(void *arg)
{
	struct server *s = arg;
	struct err e = ERR_INIT;
	char time[32];
	const char *line = lines_error(&s->lines);
	time_format_duration(host_deadline(s->host, s->spec.s.load_ms), time);
	err_set(&e, ETIMEDOUT, "%s was not ready after %s%s%s", s->spec.s.engine, time,
		line[0] ? ": " : "", line);
	log_warn(s->host->log, "host", NULL, "%s %s: %s", s->spec.s.engine, s->spec.s.model,
		 e.text);
	server_end(s, WARM_FAILED, &e);
	host_pump(s->host);
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

/* text with every `name` replaced; free() it. */
static char *replaced(char *text, const char *name, const char *value)
{
	for (char *at = text; (at = strstr(at, name));) {
		size_t before = (size_t)(at - text);
		char *longer = xasprintf("%.*s%s%s", (int)before, text, value, at + strlen(name));
		free(text);
		text = longer;
		at = text + before + strlen(value);
	}
	return text;
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
	for (size_t i = 0; i < n; i++) {
		words[i + 1] = replaced(xstrdup(s->spec.argv[i]), "{port}", port);
		words[i + 1] = replaced(words[i + 1], "{key}", key_path);
		words[i + 1] = replaced(words[i + 1], "{dir}", dir);
	}
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

static int spawn_server(struct server *s, const char *key_path, struct err *e)
{
	static const struct child_events events = {.line = on_line, .end = on_end};
	char **words = words_of(s, key_path, s->warm.dir);
	auto_free const char **env = environment_of(s);
	struct child_spec spec = {.argv = (const char *const *)words, .env = env};
	s->child = child_start(s->host->loop, &spec, &events, s, e);
	free_words(words);
	if (!s->child)
		return -e->code;
	s->pid = child_pid(s->child);
	return orphan_record(&s->orphan, s->pid, e);
}

static int begin(struct server *s, struct err *e)
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
	return rc < 0 ? rc : spawn_server(s, key_path, e);
}

struct server *server_start(struct host *h, const struct warm_spec *spec, bool second_port)
{
	struct gpu_memory m;
	struct err e = ERR_INIT;
	struct server *s = xcalloc(1, sizeof *s);
	s->host = h;
	s->second_port = second_port;
	spec_copy(&s->spec, spec);
	list_push_back(&h->servers, &s->node);
	device_gpu_memory(h->device, &m);
	s->free_before = s->window_free = m.free;
	s->poll_ms = POLL_FIRST_MS;
	warm_move(s, WARM_LOADING);
	if (begin(s, &e) < 0) {
		s->no_retry = e.code == ENOENT || e.code == EACCES || e.code == ENOEXEC;
		err_wrap(&e, "%s", spec->engine);
		log_warn(h->log, "host", NULL, "%s", e.text);
		server_end(s, WARM_FAILED, &e);
		return s;
	}
	log_info(h->log, "host", NULL, "%s %s: loading (process %d, port %d)", spec->engine,
		 s->spec.s.model, s->pid, s->port);
	timer_start(&s->load_deadline, &h->loop->clock, host_deadline(h, spec->load_ms), overdue,
		    s);
	timer_start(&s->next_poll, &h->loop->clock, s->poll_ms, poll_ready, s);
	return s;
}

void server_drop(struct server *s)
{
	stop_timers(s);
	timer_stop(&s->memory_check);
	orphan_fini(&s->orphan);
	spec_fini(&s->spec);
	secret_clear(&s->key);
	lines_forget(&s->lines);
	free((void *)(uintptr_t)s->warm.dir);
	free(s->base_url);
	free(s);
}
