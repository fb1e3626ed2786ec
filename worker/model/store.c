/* store.c - see store.h: the store itself; its holds are in hold.c, what it downloads in
 * download.c. SPDX-License-Identifier: MIT */
#include "worker/model/store.h"

#include <string.h>

#include "lib/base/mem.h"
#include "worker/model/download.h"
#include "worker/model/hold.h"
#include "worker/model/quota.h"

static void on_rate(void *arg)
{
	struct store *s = arg;
	list_each (n, &s->downloads)
		download_wake(download_of(n));
}

struct store *store_new(const struct store_deps *d)
{
	struct store *s = xcalloc(1, sizeof *s);
	s->deps = *d;
	s->root = xstrdup(d->models_root);
	s->deps.models_root = s->root;
	s->tune = (struct store_tuning){
	    .stall_ms = 30000, .backoff_ms = 500, .wait_ms = 500, .piece = 8u << 20, .give_up = 8};
	rng_init_system(&s->rng);
	limit_init(&s->limit, d->clock, on_rate, s);
	list_init(&s->downloads);
	list_init(&s->holds);
	store_look(s);
	return s;
}

static void free_policy(struct store *s)
{
	for (size_t i = 0; s->allow_hosts && s->allow_hosts[i]; i++)
		free(s->allow_hosts[i]);
	free(s->allow_hosts);
	free(s->studio_origin);
	s->allow_hosts = NULL;
	s->studio_origin = NULL;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	while (!list_empty(&s->holds))
		hold_orphan(hold_of(list_first(&s->holds)));
	while (!list_empty(&s->downloads))
		download_orphan(download_of(list_first(&s->downloads)));
	limit_fini(&s->limit);
	if (s->looking)
		s->looking->store = NULL;
	free_policy(s);
	free(s->root);
	free(s);
}

void store_configure(struct store *s, const struct store_limits *l)
{
	size_t n = 0;
	free_policy(s);
	while (l->allow_hosts && l->allow_hosts[n])
		n++;
	s->allow_hosts = xcalloc(n + 1, sizeof *s->allow_hosts);
	for (size_t i = 0; i < n; i++)
		s->allow_hosts[i] = xstrdup(l->allow_hosts[i]);
	s->studio_origin = xstrdup_opt(l->studio_origin);
	s->policy = (struct fetch_policy){(const char *const *)s->allow_hosts, s->studio_origin};
	s->quota = l->quota_bytes;
	limit_set(&s->limit, l->bytes_per_s);
}

const struct fetch_policy *store_policy(const struct store *s)
{
	return &s->policy;
}

bool store_needs(struct store *s, const char *path)
{
	list_each (n, &s->holds)
		if (hold_has(hold_of(n), path))
			return true;
	list_each (n, &s->downloads) {
		struct download_view v;
		download_view(download_of(n), &v);
		if (strcmp(v.path, path) == 0)
			return true;
	}
	return s->deps.in_use && s->deps.in_use(s->deps.in_use_arg, path);
}

/* ---- how much was downloaded ---- */

static void look_run(struct work *w)
{
	struct store_look *k = container_of(w, struct store_look, work);
	struct quota_plan p;
	(void)!quota_scan(k->root, &p, NULL);
	k->bytes = p.bytes;
	quota_fini(&p);
}

static void look_after(struct work *w)
{
	struct store_look *k = container_of(w, struct store_look, work);
	if (k->store) {
		k->store->kept = k->bytes;
		k->store->looking = NULL;
	}
	free(k->root);
	free(k);
}

void store_look(struct store *s)
{
	if (s->looking)
		return;
	struct store_look *k = xcalloc(1, sizeof *k);
	k->store = s;
	k->root = xstrdup(s->root);
	k->work = (struct work){.run = look_run, .after = look_after};
	s->looking = k;
	pool_submit(s->deps.pool, &k->work);
}

/* ---- status ---- */

static json_t *one_download(struct download *d)
{
	struct download_view v;
	json_t *o = json_object();
	download_view(d, &v);
	json_object_set_new(o, "model", json_string(v.folder));
	json_object_set_new(o, "filename", json_string(v.filename));
	json_object_set_new(o, "done", json_integer((json_int_t)v.done));
	json_object_set_new(o, "total", json_integer((json_int_t)v.total));
	json_object_set_new(o, "rate", json_integer((json_int_t)v.rate));
	json_object_set_new(o, "streams", json_integer((json_int_t)v.streams));
	if (v.rate && v.total >= v.done)
		json_object_set_new(o, "etaSeconds",
				    json_integer((json_int_t)((v.total - v.done) / v.rate)));
	return o;
}

json_t *store_status(struct store *s)
{
	json_t *o = json_object(), *all = json_array();
	list_each (n, &s->downloads)
		json_array_append_new(all, one_download(download_of(n)));
	json_object_set_new(o, "downloads", all);
	json_object_set_new(o, "bytes", json_integer((json_int_t)s->kept));
	json_object_set_new(o, "quotaBytes", json_integer((json_int_t)s->quota));
	return o;
}
