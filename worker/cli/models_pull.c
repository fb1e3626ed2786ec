/* models_pull.c - `studio-worker models pull`: one download by the store, in this process.
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/net.h"
#include "worker/cli/amount.h"
#include "worker/cli/cli.h"
#include "worker/cli/models.h"
#include "worker/cli/parts.h"
#include "worker/cli/pull_bar.h"

#define USER_AGENT "studio-worker/" PROGRAM_VERSION

struct pull {
	const struct config *config;
	struct source *source; /* of the one file */
	char *model, *host;
	struct loop loop;
	struct log log;
	struct log_sink sink;
	struct transport *net;
	struct store *store;
	struct hold *hold;
	struct pull_bar bar;
	int code;
};

/* ---- what is asked for ---- */

/* "host[:port]" of an address, "" when it has none. */
static char *host_of(const char *url)
{
	const char *at = strstr(url, "://");
	return at ? xstrndup(at + 3, strcspn(at + 3, "/?#")) : xstrdup("");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* The last segment of the address's path, decoded; whether it is fit for a file the store says. */
static char *name_in(const char *url)
{
	const char *at = strstr(url, "://");
	at = at ? at + 3 : url;
	auto_free char *path = xstrndup(at, strcspn(at, "?#"));
	const char *slash = strrchr(path, '/');
	char *name = xstrdup(slash ? slash + 1 : ""), *to = name;
	for (const char *s = name; *s; s++) {
		bool coded = s[0] == '%' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0;
		*to++ = coded ? (char)(hex_digit(s[1]) * 16 + hex_digit(s[2])) : *s;
		s += coded ? 2 : 0;
	}
	*to = '\0';
	return name;
}

static char *stem(const char *filename)
{
	const char *dot = strrchr(filename, '.');
	return xstrndup(filename,
			dot && dot != filename ? (size_t)(dot - filename) : strlen(filename));
}

/* As if an offer had named it: the same rules hold. */
static int decode(struct pull *p, const struct pull_request *r, const char *filename, struct err *e)
{
	auto_free char *hex = xstrdup_opt(r->sha256);
	for (char *c = hex; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	json_t *json =
	    json_pack("{s:s, s:[{s:s, s:s, s:s, s:s*}], s:{}}", "engine", "-", "files", "role",
		      "model", "url", r->url, "filename", filename, "sha256", hex, "cliDefaults");
	int rc = json ? source_decode(json, &p->source, e)
		      : err_set(e, EINVAL, "the address or the name is not UTF-8");
	json_decref(json);
	return rc;
}

static int ask(struct pull *p, const struct pull_request *r, struct err *e)
{
	auto_free char *name = r->name ? xstrdup(r->name) : name_in(r->url);
	p->host = host_of(r->url);
	if (!p->host[0])
		return err_set(e, EINVAL,
			       "%.200s is no address; it looks like https://host/path/model.gguf",
			       r->url);
	if (!name[0])
		return err_set(e, EINVAL, "the address names no file: give it a name with --name");
	if (r->sha256 && strlen(r->sha256) != 64)
		return err_set(e, EINVAL, "--sha256 must be 64 hex digits");
	p->model = r->model ? xstrdup(r->model) : stem(name);
	return decode(p, r, name, e);
}

/* ---- what comes of it ---- */

static void on_progress(void *arg, const struct store_progress *s)
{
	struct pull *p = arg;
	pull_bar_draw(&p->bar, s, clock_now(&p->loop.clock));
}

static void on_end(void *arg, const char *const *paths, const struct err *err, bool retryable)
{
	struct pull *p = arg;
	(void)retryable;
	pull_bar_end(&p->bar);
	if (err) {
		p->code = cli_fail(EXIT_FAILED, err);
	} else {
		auto_free char *safe = cli_clean(paths[0]);
		printf("%s\n", safe);
		p->code = EXIT_OK;
	}
	loop_stop(&p->loop);
}

static void on_interrupt(void *arg)
{
	struct pull *p = arg;
	char done[AMOUNT_LEN];
	amount_bytes(p->bar.done, done);
	pull_bar_end(&p->bar);
	fprintf(stderr, "studio-worker: stopped; %s are kept, and the same command goes on there\n",
		done);
	p->code = EXIT_FAILED;
	loop_stop(&p->loop);
}

/* ---- the store around it ---- */

/* The owner named this host with their own hands; where it redirects to is another matter. No quota
 * either: what a running daemon's jobs need is not known here, so this makes no room by removing.
 */
static void configure(struct pull *p)
{
	struct options o = p->config->options;
	size_t n = 0;
	while (o.allow_hosts[n])
		n++;
	auto_free char **hosts = xcalloc(n + 2, sizeof *hosts);
	memcpy(hosts, o.allow_hosts, n * sizeof *hosts);
	hosts[n] = p->host;
	o.allow_hosts = hosts;
	o.models_quota_gb = 0;
	parts_limit_store(p->store, &o);
}

static void open_store(struct pull *p)
{
	struct store_deps deps = {
	    .clock = &p->loop.clock,
	    .pool = &p->loop.pool,
	    .log = &p->log,
	    .net = p->net,
	    .models_root = p->config->options.models_root,
	};
	p->store = store_new(&deps);
	configure(p);
}

/* What goes wrong on the way, between the lines of the bar. */
static void say(struct log_sink *sink, const struct log_entry *entry)
{
	struct pull *p = container_of(sink, struct pull, sink);
	if (entry->level < LOG_LEVEL_WARN)
		return;
	pull_bar_end(&p->bar);
	fprintf(stderr, "studio-worker: %s\n", entry->message);
}

static void open_log(struct pull *p)
{
	log_init(&p->log, &p->loop.clock);
	p->sink.write = say;
	log_add_sink(&p->log, &p->sink);
}

static void fetch(struct pull *p)
{
	static const struct store_events events = {.progress = on_progress, .end = on_end};
	struct err e = ERR_INIT;
	p->net = net_new(&p->loop, &p->log, USER_AGENT, &e);
	if (!p->net) {
		p->code = cli_fail(EXIT_FAILED, &e);
		return;
	}
	open_store(p);
	pull_bar_init(&p->bar, 2);
	loop_on_stop(&p->loop, on_interrupt, p);
	p->hold = store_hold(p->store, p->model, p->source->files, 1, NULL, &events, p);
	loop_run(&p->loop);
	hold_release(p->hold);
	loop_settle(&p->loop);
	store_free(p->store);
	net_free(p->net);
}

static void forget(struct pull *p)
{
	source_free(p->source);
	free(p->model);
	free(p->host);
}

int models_pull(const struct config *c, const struct pull_request *r)
{
	struct pull p = {.config = c, .code = EXIT_FAILED};
	struct err e = ERR_INIT;
	if (ask(&p, r, &e) < 0) {
		p.code = cli_fail(EXIT_USAGE, &e);
	} else if (loop_init(&p.loop, &e) < 0) {
		p.code = cli_fail(EXIT_FAILED, &e);
	} else {
		open_log(&p);
		fetch(&p);
		loop_fini(&p.loop);
	}
	forget(&p);
	return p.code;
}
