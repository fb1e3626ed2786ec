/* child.c - the life of a supervised process; see child.h.
 *
 *   running ──exit──▶ exited ──both pipes at their end and the group dead, or END_MS──▶ ended
 *
 * The exit is seen through a pidfd, so nothing here depends on SIGCHLD and any number of loops may
 * have children. The group is killed while its leader is still unreaped, so the id is surely ours.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/loop/group.h"
#include "lib/loop/lines.h"
#include "lib/loop/spawn.h"

#define TERM_MS	 1000 /* from SIGTERM to SIGKILL */
#define END_MS	 1000 /* from the leader's exit to giving up on its output and group */
#define CHECK_MS 5    /* between looks at whether the group is dead */

struct output {
	uv_pipe_t pipe;
	struct child *child;
	int fd;
	bool eof;
	struct lines lines;
	char chunk[16384];
};

struct child {
	struct list_node node; /* of the loop's children, until it ended */
	struct loop *loop;
	struct child_events ev;
	void *arg;
	struct spawned os;
	uv_poll_t exit;
	uv_pipe_t in;
	uv_write_t write;
	char *input, *first_error;
	struct output out, err;
	struct timer deadline, kill, check, give_up;
	int handles; /* not yet closed; the last one frees the child */
	int status;
	bool exited, ended, timed_out, cancelled, dropped;
};

static void release(struct child *c)
{
	if (--c->handles)
		return;
	free(c->first_error);
	free(c->input);
	free(c);
}

static void closed(uv_handle_t *h)
{
	struct child *c = h->data;
	if (h == (uv_handle_t *)&c->exit)
		close(c->os.pidfd);
	release(c);
}

static void close_handle(void *h)
{
	if (!uv_is_closing(h))
		uv_close(h, closed);
}

static void close_all(struct child *c)
{
	list_remove(&c->loop->children, &c->node);
	struct timer *timers[] = {&c->deadline, &c->kill, &c->check, &c->give_up};
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		timer_stop(timers[i]);
	close_handle(&c->exit);
	close_handle(&c->out.pipe);
	close_handle(&c->err.pipe);
	if (c->input)
		close_handle(&c->in);
}

static void end(struct child *c, bool leaked)
{
	c->ended = true;
	struct child_end end = {
	    .exit_code = WIFEXITED(c->status) ? WEXITSTATUS(c->status) : -1,
	    .signal = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0,
	    .timed_out = c->timed_out,
	    .cancelled = c->cancelled,
	    .leaked = leaked,
	    .first_error = c->first_error ? c->first_error : "",
	};
	if (c->ev.end && !c->dropped)
		c->ev.end(c->arg, &end);
	close_all(c);
}

static void check(void *arg)
{
	struct child *c = arg;
	if (!c->exited || c->ended)
		return;
	if (group_alive(c->os.pid))
		timer_start(&c->check, &c->loop->clock, CHECK_MS, check, c);
	else if (c->out.eof && c->err.eof)
		end(c, false);
}

static void give_up(void *arg)
{
	end(arg, true);
}

static void reap(struct child *c)
{
	/* What the leader left behind in its group holds our pipes and the owner's memory. */
	kill(-c->os.pid, SIGKILL);
	while (waitpid(c->os.pid, &c->status, 0) < 0 && errno == EINTR)
		continue;
	c->exited = true;
	timer_stop(&c->deadline);
	timer_stop(&c->kill);
}

static void on_exit_ready(uv_poll_t *h, int status, int events)
{
	struct child *c = h->data;
	(void)status;
	(void)events;
	uv_poll_stop(h);
	reap(c);
	if (c->dropped) {
		c->ended = true;
		close_all(c);
		return;
	}
	timer_start(&c->give_up, &c->loop->clock, END_MS, give_up, c);
	check(c);
}

static void line(void *arg, const char *text)
{
	struct output *o = arg;
	struct child *c = o->child;
	if (c->dropped)
		return;
	if (o->fd == 2 && !c->first_error && text[0])
		c->first_error = xstrdup(text);
	if (c->ev.line)
		c->ev.line(c->arg, o->fd, text);
}

static void alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct output *o = container_of(h, struct output, pipe);
	(void)suggested;
	*buf = uv_buf_init(o->chunk, sizeof o->chunk);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct output *o = container_of(s, struct output, pipe);
	if (n > 0) {
		lines_feed(&o->lines, buf->base, (size_t)n, line, o);
	} else if (n < 0) {
		uv_read_stop(s);
		lines_flush(&o->lines, line, o);
		o->eof = true;
		check(o->child);
	}
}

static void written(uv_write_t *w, int status)
{
	(void)status; /* it may close its stdin early: its own affair */
	close_handle(&((struct child *)w->data)->in);
}

static void watch_output(struct child *c, struct output *o, int os_fd, int fd)
{
	o->child = c;
	o->fd = fd;
	uv_pipe_init(&c->loop->uv, &o->pipe, 0);
	o->pipe.data = c;
	c->handles++;
	if (uv_pipe_open(&o->pipe, os_fd) < 0 ||
	    uv_read_start((uv_stream_t *)&o->pipe, alloc, on_read) < 0)
		o->eof = true;
}

static void watch_exit(struct child *c)
{
	uv_poll_init(&c->loop->uv, &c->exit, c->os.pidfd);
	c->exit.data = c;
	c->handles++;
	uv_poll_start(&c->exit, UV_READABLE, on_exit_ready);
}

static void feed(struct child *c, const char *input, size_t len)
{
	c->input = xmalloc(len + 1);
	memcpy(c->input, input, len);
	uv_pipe_init(&c->loop->uv, &c->in, 0);
	c->in.data = c->write.data = c;
	c->handles++;
	uv_buf_t buf = uv_buf_init(c->input, (unsigned)len);
	if (uv_pipe_open(&c->in, c->os.in) < 0 ||
	    uv_write(&c->write, (uv_stream_t *)&c->in, &buf, 1, written) < 0)
		close_handle(&c->in);
}

static void terminate(struct child *c);

static void overdue(void *arg)
{
	struct child *c = arg;
	/* After a stall of the whole machine the deadline is seen before the exit that was in time.
	 */
	struct pollfd exited = {.fd = c->os.pidfd, .events = POLLIN};
	if (poll(&exited, 1, 0) > 0)
		return;
	c->timed_out = true;
	terminate(c);
}

struct child *child_start(struct loop *l, const struct child_spec *spec,
			  const struct child_events *ev, void *arg, struct err *e)
{
	struct spawned os;
	if (spawn(spec->argv, spec->cwd, spec->env, spec->input != NULL, &os, e) < 0)
		return NULL;
	struct child *c = xcalloc(1, sizeof *c);
	c->loop = l;
	c->ev = *ev;
	c->arg = arg;
	c->os = os;
	list_push_back(&l->children, &c->node);
	watch_exit(c);
	watch_output(c, &c->out, os.out, 1);
	watch_output(c, &c->err, os.err, 2);
	if (spec->input)
		feed(c, spec->input, spec->input_len);
	if (spec->deadline_ms)
		timer_start(&c->deadline, &l->clock, spec->deadline_ms, overdue, c);
	return c;
}

static void kill_hard(void *arg)
{
	struct child *c = arg;
	kill(-c->os.pid, SIGKILL);
}

static void terminate(struct child *c)
{
	kill(-c->os.pid, SIGTERM);
	timer_start(&c->kill, &c->loop->clock, TERM_MS, kill_hard, c);
}

void child_kill(struct child *c)
{
	if (c->exited || c->cancelled)
		return;
	c->cancelled = true;
	if (!timer_running(&c->kill))
		terminate(c);
}

void child_drop(struct child *c)
{
	if (!c || c->ended || c->dropped)
		return;
	c->dropped = true;
	if (c->exited) {
		c->ended = true;
		close_all(c);
		return;
	}
	kill(-c->os.pid, SIGKILL);
}

void child_kill_all(struct loop *l)
{
	list_each (it, &l->children) {
		struct child *c = list_entry(it, struct child, node);
		c->cancelled = c->cancelled || !c->exited;
		if (!c->exited)
			kill_hard(c);
	}
}

void child_drop_all(struct loop *l)
{
	list_each_safe (it, &l->children)
		child_drop(list_entry(it, struct child, node));
}

int child_pid(const struct child *c)
{
	return c->os.pid;
}
