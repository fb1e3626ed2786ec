/* listing.c - what lies below models_root, and removing what the store brought there; for
 * `studio-worker models`. See store.h. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/fs/fs.h"
#include "worker/model/ledger.h"
#include "worker/model/name.h"
#include "worker/model/quota.h"
#include "worker/model/record.h"
#include "worker/model/store.h"

struct shelf {
	const char *root;
	struct store_entry *entries;
	size_t n;
};

static struct store_entry *add(struct shelf *s, const char *folder, const char *filename)
{
	s->entries = xrealloc(s->entries, (s->n + 1) * sizeof *s->entries);
	struct store_entry *it = &s->entries[s->n++];
	*it = (struct store_entry){.model = xstrdup(folder),
				   .filename = xstrdup(filename),
				   .path = name_path(s->root, folder, filename, "")};
	return it;
}

static void add_whole(struct shelf *s, const char *folder, const char *name, const struct stat *st)
{
	struct record r = {0};
	struct store_entry *it = add(s, folder, name);
	it->bytes = (uint64_t)st->st_size;
	if (record_load(s->root, folder, name, &r, NULL) == 0 && record_fits(&r, st)) {
		it->used_ms = r.used_ms;
		/* What is known of the owner's file stays its own: no hash marks it as the owner's.
		 */
		if (r.downloaded) {
			it->sha256 = steal(&r.sha256);
			it->url = steal(&r.url);
		}
	}
	record_fini(&r);
}

static void add_half(struct shelf *s, const char *folder, const char *name)
{
	auto_free char *filename = xstrndup(name, strlen(name) - strlen(NAME_PART));
	auto_free char *path = name_path(s->root, folder, filename, NAME_LEDGER);
	struct ledger *l = xcalloc(1, sizeof *l);
	if (ledger_load(path, l, NULL) == 0) {
		struct store_entry *it = add(s, folder, filename);
		it->bytes = l->total;
		it->partial = extents_bytes(&l->written);
		it->url = l->url[0] ? xstrdup(l->url) : NULL;
		it->sha256 = l->sha256[0] ? xstrdup(l->sha256) : NULL;
	}
	free(l);
}

static int walk(struct shelf *s, const char *folder, struct err *e)
{
	auto_free char *dir = fs_join(s->root, folder);
	char **names = NULL;
	size_t n = 0;
	int rc = fs_list(dir, &names, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct stat st;
		auto_free char *path = fs_join(dir, names[i]);
		if (names[i][0] == '.' || stat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && !folder[0] && strcmp(names[i], "bin") != 0)
			(void)walk(s, names[i], NULL); /* one that can't be read is skipped */
		else if (S_ISREG(st.st_mode) && ends_with(names[i], NAME_PART))
			add_half(s, folder, names[i]);
		else if (S_ISREG(st.st_mode) && !ends_with(names[i], NAME_LEDGER))
			add_whole(s, folder, names[i], &st);
	}
	fs_list_free(names, n);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct store_entry *x = a, *y = b;
	int rc = strcmp(x->model, y->model);
	return rc ? rc : strcmp(x->filename, y->filename);
}

int store_list(const char *models_root, struct store_entry **out, size_t *n, struct err *e)
{
	struct shelf s = {.root = models_root};
	*out = NULL;
	*n = 0;
	int rc = walk(&s, "", e);
	if (rc == -ENOENT) { /* nothing was ever downloaded */
		err_clear(e);
		return 0;
	}
	if (rc < 0) {
		store_entries_free(s.entries, s.n);
		return rc;
	}
	if (s.n)
		qsort(s.entries, s.n, sizeof *s.entries, by_name);
	*out = s.entries;
	*n = s.n;
	return 0;
}

void store_entries_free(struct store_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(entries[i].model);
		free(entries[i].filename);
		free(entries[i].path);
		free(entries[i].sha256);
		free(entries[i].url);
	}
	free(entries);
}

/* ---- removing ---- */

static bool named(const struct store_entry *it, const char *name)
{
	auto_free char *full =
	    xasprintf("%s%s%s", it->model, it->model[0] ? "/" : "", it->filename);
	return strcmp(full, name) == 0 || (it->model[0] && strcmp(it->model, name) == 0);
}

static bool owners(const struct store_entry *it)
{
	return !it->url && !it->partial && !it->sha256;
}

int store_remove(const char *models_root, const char *name, struct err *e)
{
	struct store_entry *all;
	size_t n, hits = 0, removed = 0;
	int rc = store_list(models_root, &all, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!named(&all[i], name))
			continue;
		hits++;
		if (owners(&all[i]))
			continue;
		rc = quota_delete(models_root, all[i].model, all[i].filename, e);
		removed++;
	}
	store_entries_free(all, n);
	if (rc < 0 || removed)
		return rc;
	if (!hits)
		return err_set(e, ENOENT,
			       "there is no %s; `studio-worker models list` shows what there is",
			       name);
	return err_set(e, EPERM, "%s was not downloaded by this program: it is yours to remove",
		       name);
}
