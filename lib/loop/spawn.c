/* spawn.c - see spawn.h. Between fork and exec only async-signal-safe calls are made, as the
 * program has other threads. SPDX-License-Identifier: MIT */
#include "lib/loop/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/loop/child.h"

#define CLOEXEC_RANGE 4u /* CLOSE_RANGE_CLOEXEC, missing in older headers */

enum stage { STAGE_EXEC, STAGE_CWD, STAGE_STDIO, STAGE_ORPHAN };

struct failure {
	enum stage stage;
	int code;
};

/* Everything the child needs, made before the fork. */
struct plan {
	const char *program, *cwd;
	const char *const *argv;
	char **env;
	pid_t parent;
	int in, out, err, report; /* the child's ends */
};

static bool runnable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static char *absolute(const char *path)
{
	if (path[0] == '/')
		return xstrdup(path);
	auto_free char *cwd = getcwd(NULL, 0);
	return cwd ? xasprintf("%s/%s", cwd, path) : xstrdup(path);
}

char *program_find(const char *name)
{
	if (strchr(name, '/'))
		return runnable(name) ? absolute(name) : NULL;
	const char *path = getenv("PATH");
	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p && *name;) {
		size_t n = strcspn(p, ":");
		auto_free char *full = xasprintf("%.*s/%s", (int)n, p, name);
		/* Relative entries would depend on where we happen to stand. */
		if (p[0] == '/' && runnable(full))
			return steal(&full);
		p += n + (p[n] == ':');
	}
	return NULL;
}

static void __attribute__((noreturn)) fail(const struct plan *p, enum stage stage, int code)
{
	struct failure f = {stage, code};
	ssize_t n = write(p->report, &f, sizeof f);
	_exit(n == (ssize_t)sizeof f ? 127 : 126);
}

/* Copies first, as a descriptor to be moved may itself be 0, 1 or 2. */
static void move_stdio(struct plan *p)
{
	int *ends[] = {&p->report, &p->in, &p->out, &p->err};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		*ends[i] = fcntl(*ends[i], F_DUPFD_CLOEXEC, 3);
	if (dup2(p->in, 0) < 0 || dup2(p->out, 1) < 0 || dup2(p->err, 2) < 0)
		fail(p, STAGE_STDIO, errno);
}

static void reset_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &sa, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) become(struct plan *p)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before the line above took effect. */
	if (getppid() != p->parent)
		fail(p, STAGE_ORPHAN, ESRCH);
	move_stdio(p);
	syscall(SYS_close_range, 3u, ~0u, CLOEXEC_RANGE);
	if (p->cwd && chdir(p->cwd) < 0)
		fail(p, STAGE_CWD, errno);
	reset_signals();
	execve(p->program, (char *const *)(uintptr_t)p->argv, p->env);
	fail(p, STAGE_EXEC, errno);
}

/* Signals are blocked over the fork: a handler of ours run in the child would write to our own
 * pipes. */
static pid_t fork_blocked(struct plan *p)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p->parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int describe(const struct plan *p, struct failure f, struct err *e)
{
	if (f.stage == STAGE_CWD)
		return err_sys(e, f.code, "cannot start %s in %s", p->argv[0], p->cwd);
	return err_sys(e, f.code, "cannot start %s", p->argv[0]);
}

/* The report pipe closes at a successful exec. */
static int await_exec(const struct plan *p, int report, struct err *e)
{
	struct failure f;
	ssize_t n;
	do
		n = read(report, &f, sizeof f);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	return n == (ssize_t)sizeof f ? describe(p, f, e)
				      : err_set(e, EIO, "cannot start %s", p->argv[0]);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int launch(struct plan *p, int report, struct spawned *s, struct err *e)
{
	s->pid = fork_blocked(p);
	close_fd(&p->report);
	if (s->pid < 0)
		return err_sys(e, errno, "cannot start %s", p->argv[0]);
	int rc = await_exec(p, report, e);
	if (rc < 0) {
		reap(s->pid);
		return rc;
	}
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0) {
		rc = err_sys(e, errno, "cannot supervise %s (Linux 5.3 or newer is needed)",
			     p->argv[0]);
		kill(-s->pid, SIGKILL);
		reap(s->pid);
	}
	return rc;
}

/* fds[0] is read from, fds[1] written to. */
static bool open_pipe(int *read_end, int *write_end)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	*read_end = fds[0];
	*write_end = fds[1];
	return true;
}

static bool open_stdin(bool feed, struct plan *p, struct spawned *s)
{
	if (feed)
		return open_pipe(&p->in, &s->in);
	p->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return p->in >= 0;
}

static bool overridden(const char *entry, const char *const *more)
{
	size_t n = strcspn(entry, "=") + 1;
	for (; *more; more++)
		if (strncmp(entry, *more, n) == 0)
			return true;
	return false;
}

/* Ours, with `more` in place of what is there by the same name. Only the array is the caller's. */
static char **environment(const char *const *more)
{
	size_t n = 0, cap = 1;
	for (char **e = environ; *e; e++)
		cap++;
	for (const char *const *m = more; *m; m++)
		cap++;
	char **env = xcalloc(cap, sizeof *env);
	for (char **e = environ; *e; e++)
		if (!overridden(*e, more))
			env[n++] = *e;
	for (; *more; more++)
		env[n++] = (char *)(uintptr_t)*more;
	return env;
}

int spawn(const char *const *argv, const char *cwd, const char *const *env, bool feed,
	  struct spawned *s, struct err *e)
{
	static const char *const nothing[] = {NULL};

	*s = (struct spawned){.pidfd = -1, .in = -1, .out = -1, .err = -1};
	auto_free char *program = program_find(argv[0]);
	if (!program)
		return err_set(e, ENOENT, "cannot start %s: no such program", argv[0]);
	auto_free char **full = environment(env ? env : nothing);
	struct plan p = {program, cwd, argv, full, 0, -1, -1, -1, -1};
	int report = -1, rc;
	if (open_stdin(feed, &p, s) && open_pipe(&s->out, &p.out) && open_pipe(&s->err, &p.err) &&
	    open_pipe(&report, &p.report))
		rc = launch(&p, report, s, e);
	else
		rc = err_sys(e, errno, "cannot start %s", argv[0]);
	int *mine[] = {&p.in, &p.out, &p.err, &p.report, &report};
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		close_fd(mine[i]);
	int *theirs[] = {&s->in, &s->out, &s->err, &s->pidfd};
	for (size_t i = 0; rc < 0 && i < ARRAY_LEN(theirs); i++)
		close_fd(theirs[i]);
	return rc;
}
