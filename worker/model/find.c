/* find.c - see find.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/find.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "worker/model/name.h"
#include "worker/model/part.h"
#include "worker/model/record.h"

#define PIECE (256u << 10)
/* Small files may be rounded to a whole step of what people write. */
#define SLACK_LEAST (64u << 10)

bool find_size_fits(uint64_t size, uint64_t approx)
{
	uint64_t slack = approx / 10 > SLACK_LEAST ? approx / 10 : SLACK_LEAST;
	if (!approx)
		return true;
	return size <= approx + slack && size + slack >= approx && size > 0;
}

static int hash_all(int fd, struct sha256 *s, struct find_watch *w)
{
	auto_free unsigned char *piece = xmalloc(PIECE);
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		if (w && atomic_load(&w->cancel))
			return ECANCELED;
		sha256_update(s, piece, (size_t)n);
		if (w)
			atomic_fetch_add(&w->done, (uint64_t)n);
	}
}

int find_hash(const char *path, char hex[65], struct find_watch *w, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code = 0;
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		code = EINVAL;
	if (w && !code) {
		atomic_store(&w->total, (uint64_t)st.st_size);
		atomic_store(&w->verifying, true);
	}
	struct sha256 *s = sha256_new();
	if (!code)
		code = hash_all(fd, s, w);
	close(fd);
	if (w)
		atomic_store(&w->verifying, false);
	if (code) {
		sha256_free(s);
		return err_sys(e, code, "cannot hash %s", path);
	}
	sha256_final_hex(s, hex);
	return 0;
}

struct place { /* one of the two where a file may be */
	const char *root, *folder;
	const struct source_file *file;
	char *path;
	struct stat st;
	struct record record;
	bool known, ours; /* the record is of this very file; and says that we fetched it */
};

/* False when nothing is there. */
static bool look(struct place *p)
{
	p->path = name_path(p->root, p->folder, p->file->filename, "");
	/* Also a link to nothing is in the way. */
	if (stat(p->path, &p->st) < 0 && lstat(p->path, &p->st) < 0)
		return false;
	p->known = record_load(p->root, p->folder, p->file->filename, &p->record, NULL) == 0 &&
		   record_fits(&p->record, &p->st);
	p->ours = p->known && p->record.downloaded;
	return true;
}

static void forget(struct place *p)
{
	record_fini(&p->record);
	p->record.folder = xstrdup(p->folder);
	p->record.filename = xstrdup(p->file->filename);
}

/* The file's hash goes into its record, so that it is not read again for the next job. */
static int know_hash(struct place *p, struct find_watch *w, struct err *e)
{
	char hex[SHA256_HEX_LEN];
	if (p->known && p->record.sha256)
		return 0;
	int rc = find_hash(p->path, hex, w, e);
	if (rc < 0)
		return rc;
	/* Moved to another disk, say, with its time and its bytes: it is still what was fetched. */
	if (!p->known && p->record.downloaded && p->record.sha256 &&
	    strcmp(p->record.sha256, hex) == 0 && record_same_time(&p->record, &p->st))
		p->ours = true;
	else if (!p->known)
		forget(p);
	record_stamp(&p->record, &p->st, p->path);
	p->known = true;
	str_replace(&p->record.sha256, hex);
	/* Not remembered: it is hashed again next time. */
	(void)!record_save(p->root, &p->record, NULL);
	return 0;
}

/* 0: it is the file. -ENOENT: it is another. */
static int judge(struct place *p, struct find_watch *w, struct err *e)
{
	const struct source_file *f = p->file;
	char is[24], asked[24];
	if (!S_ISREG(p->st.st_mode))
		return err_set(e, ENOENT, "%s is no regular file", p->path);
	if (f->sha256) {
		int rc = know_hash(p, w, e);
		if (rc < 0 || strcmp(p->record.sha256, f->sha256) == 0)
			return rc;
		return err_set(e, ENOENT, "%s has the SHA-256 %s, not %s as asked for", p->path,
			       p->record.sha256, f->sha256);
	}
	part_size_text((uint64_t)p->st.st_size, is);
	part_size_text(f->approx_bytes, asked);
	if (!find_size_fits((uint64_t)p->st.st_size, f->approx_bytes) || !p->st.st_size)
		return err_set(e, ENOENT, "%s has %s, not about %s as asked for", p->path, is,
			       asked);
	return 0;
}

static void place_fini(struct place *p)
{
	record_fini(&p->record);
	free(p->path);
}

/* in_way: the file is there, and neither the one nor ours to replace; e says so. */
static int try_place(struct place *p, char **path, bool *in_way, struct find_watch *w,
		     struct err *e)
{
	int rc = look(p) ? judge(p, w, e) : -ENOENT;
	*in_way = rc == -ENOENT && p->path && e->code && !p->ours;
	if (rc == 0) {
		record_touch(p->root, p->folder, p->file->filename);
		*path = steal(&p->path);
	}
	place_fini(p);
	return rc;
}

int find_file(const char *root, const char *folder, const struct source_file *f, char **path,
	      struct find_watch *w, struct err *e)
{
	struct place own = {.root = root, .folder = folder, .file = f};
	struct place top = {.root = root, .folder = "", .file = f};
	struct err why = ERR_INIT, ignored = ERR_INIT;
	bool in_way = false, other;
	*path = NULL;
	int rc = try_place(&own, path, &in_way, w, &why);
	if (rc != -ENOENT) {
		if (rc < 0 && e)
			*e = why;
		return rc;
	}
	if (folder[0]) {
		rc = try_place(&top, path, &other, w, &ignored);
		if (rc == 0 || rc == -ECANCELED)
			return rc == 0 ? 0 : err_set(e, ECANCELED, "%s", ignored.text);
	}
	if (in_way)
		return err_set(e, EEXIST, "%s; it is yours and stays: move it away or rename it",
			       why.text);
	return err_set(e, ENOENT, "%s is not here", f->filename);
}
