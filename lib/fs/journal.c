/* journal.c - see journal.h.
 * A record: "SWJ1 <number> <id> <head bytes> <body bytes> <checksum>\n" head body "\n". A head of
 * digits with no body is a grave: the record with that id is dead. Ids stay when records are
 * numbered anew. SPDX-License-Identifier: MIT */
#include "lib/fs/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define JOURNAL_MAX (256u << 20) /* far beyond what is kept at a time */
#define JOURNAL_CHUNK                                                                              \
	(64u                                                                                       \
	 << 10) /* space is taken ahead in such steps: then fdatasync need not touch the inode */
#define RECORD_LINE_MAX 160
#define JOURNAL_COMPACT (4u << 20) /* beyond this the dead are thrown out */

struct live {
	uint64_t id;
	size_t off, len;
};

struct journal {
	char *path;
	int fd;		   /* -1: not open */
	bool named;	   /* the folder was synced since the file got its name */
	bool stale;	   /* no first record: the rest must go before one is written */
	struct err unread; /* why it could not be loaded */
	uint64_t seq;	   /* of the last record */
	size_t end, size;  /* where the next record goes; bytes the file has */
	struct live *live;
	size_t n_live, cap_live;
	struct buf scratch;
};

struct record {
	uint64_t seq, id;
	const char *head, *body;
	size_t head_len, body_len, len;
};

struct journal *journal_new(const char *path)
{
	struct journal *j = xcalloc(1, sizeof *j);
	j->path = xstrdup(path);
	j->fd = -1;
	buf_init(&j->scratch, JOURNAL_MAX);
	return j;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	buf_fini(&j->scratch);
	free(j->live);
	free(j->path);
	free(j);
}

static int fault(struct journal *j, const char *step, struct err *e)
{
	int code = fs_fault ? fs_fault(step, j->path) : 0;
	return code ? err_sys(e, code, "%s %s", step, j->path) : 0;
}

static void bury(struct journal *j, uint64_t id)
{
	for (size_t i = 0; i < j->n_live; i++) {
		if (j->live[i].id != id)
			continue;
		memmove(j->live + i, j->live + i + 1, (j->n_live - i - 1) * sizeof *j->live);
		j->n_live--;
		return;
	}
}

static void keep(struct journal *j, uint64_t id, size_t off, size_t len)
{
	if (j->n_live == j->cap_live) {
		j->cap_live = j->cap_live ? j->cap_live * 2 : 8;
		j->live = xrealloc(j->live, j->cap_live * sizeof *j->live);
	}
	j->live[j->n_live++] = (struct live){id, off, len};
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static uint64_t mix_text(uint64_t sum, const char *text, size_t len)
{
	uint64_t word;
	for (; len >= sizeof word; text += sizeof word, len -= sizeof word) {
		memcpy(&word, text, sizeof word);
		sum = mix(sum, word);
	}
	word = 0;
	memcpy(&word, text, len);
	return mix(mix(sum, word), len);
}

/* Against torn writes and rot, not against people: they could as well write a whole new record. */
static uint64_t checksum(const struct record *r)
{
	uint64_t sum = mix(mix(0, r->seq), r->id);
	return mix_text(mix_text(sum, r->head, r->head_len), r->body, r->body_len);
}

/* 1: a whole record; 0: none here; -1: one that is damaged. */
static int parse(const char *text, size_t len, struct record *r)
{
	char line[RECORD_LINE_MAX];
	uint64_t want;
	int used = 0;
	size_t n = len < sizeof line - 1 ? len : sizeof line - 1;
	memcpy(line, text, n);
	line[n] = '\0';
	if (sscanf(line, "SWJ1 %" SCNu64 " %" SCNu64 " %zu %zu %16" SCNx64 "%n", &r->seq, &r->id,
		   &r->head_len, &r->body_len, &want, &used) != 5)
		return 0;
	size_t at = (size_t)used;
	if (r->head_len > JOURNAL_MAX || r->body_len > JOURNAL_MAX ||
	    at + r->head_len + r->body_len + 2 > len || text[at] != '\n')
		return -1;
	r->head = text + at + 1;
	r->body = r->head + r->head_len;
	r->len = at + r->head_len + r->body_len + 2;
	return checksum(r) == want ? 1 : -1;
}

static bool format(struct buf *b, struct record *r)
{
	size_t start = b->len;
	bool ok = buf_printf(b, "SWJ1 %" PRIu64 " %" PRIu64 " %zu %zu %016" PRIx64 "\n", r->seq,
			     r->id, r->head_len, r->body_len, checksum(r)) &&
		  buf_add(b, r->head, r->head_len) && buf_add(b, r->body, r->body_len) &&
		  buf_add(b, "\n", 1);
	r->len = b->len - start;
	return ok;
}

static bool is_grave(const struct record *r)
{
	return r->body_len == 0 && r->head_len > 0 && r->head[0] != '{';
}

/* Finds the end and the living. Returns whether a damaged record stopped it. */
static bool replay(struct journal *j, const char *text, size_t len)
{
	struct record r;
	int rc;
	while ((rc = parse(text + j->end, len - j->end, &r)) != 0) {
		if (j->seq && r.seq != j->seq + 1)
			return false;
		if (rc < 0)
			return true;
		if (is_grave(&r))
			bury(j, strtoull(r.head, NULL, 10));
		else
			keep(j, r.id, j->end, r.len);
		j->seq = r.seq;
		j->end += r.len;
	}
	return false;
}

int journal_load(struct journal *j, journal_each *fn, void *arg, bool *torn, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	*torn = false;
	int rc = fs_read(j->path, JOURNAL_MAX, &text, &len, e);
	if (rc == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (rc < 0) {
		err_set(&j->unread, -rc, "%s", e ? e->text : j->path);
		return rc;
	}
	*torn = replay(j, text, len);
	j->size = len;
	j->stale = j->seq == 0 && !*torn;
	for (size_t i = 0; i < j->n_live; i++) {
		struct record r;
		size_t off = j->live[i].off;
		if (parse(text + off, len - off, &r) == 1)
			fn(arg, r.id, r.head, r.head_len, r.body, r.body_len);
	}
	return 0;
}

static int sync_name(struct journal *j, struct err *e)
{
	auto_free char *dir = xstrdup(j->path);
	*strrchr(dir, '/') = '\0';
	int rc = fs_sync_dir(dir, e);
	j->named = rc == 0;
	return rc;
}

static int open_file(struct journal *j, struct err *e)
{
	/* What could not be read may be full of results: nothing is written over them. */
	if (j->unread.code)
		return err_set(e, j->unread.code,
			       "it could not be read at the start (%s); see to "
			       "that and start again",
			       j->unread.text);
	int rc = j->fd < 0 ? fault(j, "open", e) : 0;
	if (rc < 0)
		return rc;
	if (j->fd < 0)
		j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return err_sys(e, errno, "can't open %s", j->path);
	/* Without a first record the numbers begin anew, and older ones must not seem to follow.
	 * Not while loading: that may be a look at the file of another process. */
	if (j->stale && ftruncate(j->fd, 0) < 0)
		return err_sys(e, errno, "can't cut %s", j->path);
	if (j->stale)
		j->size = 0;
	j->stale = false;
	return j->named ? 0 : sync_name(j, e);
}

static int write_all(struct journal *j, const char *data, size_t len, size_t off, struct err *e)
{
	int rc = fault(j, "write", e);
	while (rc == 0 && len > 0) {
		ssize_t n = pwrite(j->fd, data, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n < 0 ? errno : ENOSPC, "can't write %s", j->path);
		data += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return rc;
}

/* Takes space ahead, so that most syncs find the size unchanged. Where that is not supported,
 * nothing is lost. */
static int reserve(struct journal *j, size_t need, struct err *e)
{
	if (j->end + need <= j->size)
		return 0;
	static const char zeros[JOURNAL_CHUNK];
	size_t want = (j->end + need + JOURNAL_CHUNK - 1) / JOURNAL_CHUNK * JOURNAL_CHUNK;
	while (j->size < want) {
		size_t n = want - j->size < sizeof zeros ? want - j->size : sizeof zeros;
		int rc = write_all(j, zeros, n, j->size, e);
		if (rc < 0)
			return rc;
		j->size += n;
	}
	return 0;
}

static int append(struct journal *j, const char *head, const char *body, struct record *r,
		  struct err *e)
{
	*r = (struct record){
	    .seq = j->seq + 1,
	    .id = j->seq + 1,
	    .head = head,
	    .body = body,
	    .head_len = strlen(head),
	    .body_len = strlen(body),
	};
	buf_reset(&j->scratch);
	if (!format(&j->scratch, r) || j->end + r->len > JOURNAL_MAX)
		return err_set(e, EFBIG, "too large for %s", j->path);
	int rc = reserve(j, r->len, e);
	return rc < 0 ? rc : write_all(j, j->scratch.data, r->len, j->end, e);
}

static int sync_file(struct journal *j, struct err *e)
{
	int rc = fault(j, "fsync", e);
	if (rc < 0)
		return rc;
	return fdatasync(j->fd) < 0 ? err_sys(e, errno, "can't sync %s", j->path) : 0;
}

/* A record that was written but could not be synced must not be found later: its job was told to
 * have failed. */
static void take_back(struct journal *j)
{
	static const char nothing[8];
	(void)!pwrite(j->fd, nothing, sizeof nothing, (off_t)j->end);
}

static void advance(struct journal *j, const struct record *r)
{
	j->seq = r->seq;
	j->end += r->len;
}

static bool copy_living(const struct journal *j, const char *text, size_t len, struct buf *out,
			struct live *moved)
{
	for (size_t i = 0; i < j->n_live; i++) {
		struct record r;
		size_t off = j->live[i].off;
		if (off > len || parse(text + off, len - off, &r) != 1)
			return false;
		r.seq = j->seq + 1 + i;
		moved[i] = (struct live){r.id, out->len, 0};
		if (!format(out, &r))
			return false;
		moved[i].len = r.len;
	}
	return true;
}

/* Whether the open file is the one of that name. */
static bool in_place(const struct journal *j)
{
	struct stat mine, theirs;
	return j->fd >= 0 && fstat(j->fd, &mine) == 0 && stat(j->path, &theirs) == 0 &&
	       mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev;
}

static void adopt(struct journal *j, const struct live *moved, size_t len)
{
	memcpy(j->live, moved, j->n_live * sizeof *j->live);
	j->seq += j->n_live;
	j->end = j->size = len;
	close(j->fd);
	j->fd = -1;
}

/* Throws the dead out: the living, numbered anew, become a new file. A failure leaves all as it
 * was, or the new file in place with its name not synced. */
static int compact(struct journal *j, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int rc = fs_read(j->path, JOURNAL_MAX, &text, &len, e);
	if (rc < 0)
		return rc;
	struct buf out;
	buf_init(&out, JOURNAL_MAX);
	auto_free struct live *moved = xcalloc(j->n_live + 1, sizeof *moved);
	if (!copy_living(j, text, len, &out, moved)) {
		rc = err_set(e, EIO, "%s changed under us", j->path);
	} else {
		rc = fs_write_atomic(j->path, out.data, out.len, 0600, e);
		if (rc == 0 || !in_place(j)) {
			adopt(j, moved, out.len);
			j->named = rc == 0;
		}
	}
	buf_fini(&out);
	return rc;
}

static bool worth_compacting(const struct journal *j)
{
	size_t living = 0;
	for (size_t i = 0; i < j->n_live; i++)
		living += j->live[i].len;
	return j->end > JOURNAL_COMPACT && living < j->end / 2;
}

/* Before a record is added. Room that can't be won is no failure, as long as the file is still ours
 * to write to. */
static int make_room(struct journal *j, struct err *e)
{
	if (j->n_live == 0) {
		j->end = 0;
		return 0;
	}
	if (!worth_compacting(j))
		return 0;
	int rc = compact(j, e);
	if (rc < 0 && in_place(j)) {
		err_clear(e);
		return 0;
	}
	return rc < 0 ? rc : open_file(j, e);
}

int journal_put(struct journal *j, const char *head, const char *body, uint64_t *id, struct err *e)
{
	struct record r;
	int rc = open_file(j, e);
	if (rc == 0)
		rc = make_room(j, e);
	if (rc < 0)
		return rc;
	rc = append(j, head, body, &r, e);
	if (rc == 0)
		rc = sync_file(j, e);
	if (rc < 0) {
		take_back(j);
		return rc;
	}
	keep(j, r.id, j->end, r.len);
	advance(j, &r);
	*id = r.id;
	return 0;
}

int journal_drop(struct journal *j, uint64_t id, struct err *e)
{
	char head[32];
	struct record r;
	bury(j, id);
	int rc = open_file(j, e);
	if (rc < 0)
		return rc;
	snprintf(head, sizeof head, "%" PRIu64, id);
	rc = append(j, head, "", &r, e);
	if (rc == 0)
		advance(j, &r);
	return rc;
}
