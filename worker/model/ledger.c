/* ledger.c - see ledger.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

#define FIRST_LINE "studio-worker download ledger 1"

/* ---- the address ---- */

static void url_text(const char *url, char out[LEDGER_URL_MAX + 1])
{
	char hex[SHA256_HEX_LEN];
	size_t len = strlen(url);
	if (len <= LEDGER_URL_MAX) {
		memcpy(out, url, len + 1);
		return;
	}
	sha256_hex(url, len, hex);
	snprintf(out, LEDGER_URL_MAX + 1, "sha256:%s", hex);
}

void ledger_set_url(struct ledger *l, const char *url)
{
	url_text(url, l->url);
}

bool ledger_has_url(const struct ledger *l, const char *url)
{
	char text[LEDGER_URL_MAX + 1];
	url_text(url, text);
	return strcmp(l->url, text) == 0;
}

/* ---- text ---- */

static bool add_extents(struct buf *b, const char *name, const struct extents *x)
{
	bool ok = buf_printf(b, "%s", name);
	for (size_t i = 0; i < x->n && ok; i++)
		ok = buf_printf(b, " %" PRIu64 "-%" PRIu64, x->spans[i].from, x->spans[i].to);
	return ok && buf_add(b, "\n", 1);
}

static bool one_line(const char *s)
{
	return strpbrk(s, "\r\n") == NULL;
}

static bool add_all(struct buf *b, const struct ledger *l)
{
	return buf_printf(b, FIRST_LINE "\nseq %" PRIu64 "\ntotal %" PRIu64 "\n", l->seq,
			  l->total) &&
	       buf_printf(b, "url %s\netag %s\nmodified %s\nsha256 %s\nboot %s\n", l->url, l->etag,
			  l->modified, l->sha256, l->boot) &&
	       add_extents(b, "written", &l->written) && add_extents(b, "synced", &l->synced);
}

size_t ledger_encode(const struct ledger *l, char out[LEDGER_SLOT_BYTES])
{
	struct buf b;
	char hex[SHA256_HEX_LEN];
	size_t len = 0;
	buf_init(&b, LEDGER_SLOT_BYTES);
	if (one_line(l->url) && one_line(l->etag) && one_line(l->modified) && add_all(&b, l)) {
		sha256_hex(b.data, b.len, hex);
		if (buf_printf(&b, "sum %s\n", hex)) {
			memcpy(out, b.data, b.len);
			len = b.len;
		}
	}
	buf_fini(&b);
	return len;
}

/* The text behind "name ", cut at its line's end; NULL when the next line is another. */
static char *take(char **at, const char *name)
{
	size_t n = strlen(name);
	char *end = strchr(*at, '\n');
	if (!end || strncmp(*at, name, n) != 0 || ((*at)[n] != ' ' && *at + n != end))
		return NULL;
	*end = '\0';
	char *value = *at + n + ((*at)[n] == ' ');
	*at = end + 1;
	return value;
}

static bool take_text(char **at, const char *name, char *out, size_t size)
{
	const char *v = take(at, name);
	if (!v || strlen(v) >= size)
		return false;
	memcpy(out, v, strlen(v) + 1);
	return true;
}

/* One decimal number; *s then stands behind it. */
static bool number(char **s, uint64_t *out)
{
	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	*out = strtoull(*s, s, 10);
	return errno == 0;
}

static bool take_number(char **at, const char *name, uint64_t *out)
{
	char *v = take(at, name);
	return v && number(&v, out) && *v == '\0';
}

static bool take_extents(char **at, const char *name, uint64_t total, struct extents *x)
{
	char *v = take(at, name);
	uint64_t from, to;
	x->n = 0;
	while (v && *v) {
		if (!number(&v, &from) || *v++ != '-' || !number(&v, &to))
			return false;
		if (from >= to || to > total || (x->n && from <= x->spans[x->n - 1].to))
			return false; /* not as extents_add() leaves them */
		if (!extents_add(x, from, to) || (*v && *v++ != ' '))
			return false;
	}
	return v != NULL;
}

static bool sum_fits(char *text, const char *sum_line)
{
	char hex[SHA256_HEX_LEN];
	sha256_hex(text, (size_t)(sum_line - text), hex);
	return strncmp(sum_line + 4, hex, 64) == 0 && sum_line[68] == '\n';
}

static bool fields(char *at, struct ledger *l)
{
	const char *first = take(&at, FIRST_LINE);
	return first && !*first && take_number(&at, "seq", &l->seq) &&
	       take_number(&at, "total", &l->total) && l->total <= INT64_MAX &&
	       take_text(&at, "url", l->url, sizeof l->url) &&
	       take_text(&at, "etag", l->etag, sizeof l->etag) &&
	       take_text(&at, "modified", l->modified, sizeof l->modified) &&
	       take_text(&at, "sha256", l->sha256, sizeof l->sha256) &&
	       take_text(&at, "boot", l->boot, sizeof l->boot) &&
	       take_extents(&at, "written", l->total, &l->written) &&
	       take_extents(&at, "synced", l->total, &l->synced);
}

int ledger_decode(const char *text, size_t len, struct ledger *l, struct err *e)
{
	auto_free char *copy = xstrndup(text, len < LEDGER_SLOT_BYTES ? len : LEDGER_SLOT_BYTES);
	char *sum = strstr(copy, "\nsum ");
	memset(l, 0, sizeof *l);
	if (!sum || strlen(sum + 1) < 69 || !sum_fits(copy, sum + 1))
		return err_set(e, EPROTO, "a download's ledger is damaged");
	if (!fields(copy, l)) {
		memset(l, 0, sizeof *l);
		return err_set(e, EPROTO, "a download's ledger is not one of this version");
	}
	return 0;
}

/* ---- the file ---- */

static int read_slot(int fd, unsigned slot, struct ledger *l, struct err *e)
{
	auto_free char *text = xcalloc(1, LEDGER_SLOT_BYTES + 1);
	ssize_t n = pread(fd, text, LEDGER_SLOT_BYTES, (off_t)slot * LEDGER_SLOT_BYTES);
	if (n < 0)
		return err_sys(e, errno, "cannot read a download's ledger");
	return ledger_decode(text, (size_t)n, l, e);
}

int ledger_load(const char *path, struct ledger *l, struct err *e)
{
	int fd = fs_open_regular(path, e);
	if (fd < 0)
		return fd;
	struct ledger *other = xcalloc(1, sizeof *other);
	int a = read_slot(fd, 0, l, e), b = read_slot(fd, 1, other, e);
	close(fd);
	if (b == 0 && (a < 0 || other->seq > l->seq))
		*l = *other;
	free(other);
	return a < 0 && b < 0 ? b : 0;
}

int ledger_open(const char *path, struct err *e)
{
	int fault = fs_fault ? fs_fault("open", path) : 0;
	int fd =
	    fault ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return err_sys(e, fault ? fault : errno, "cannot open %s", path);
	(void)fchmod(fd, 0600); /* one of an earlier version */
	return fd;
}

static int put(int fd, const char *text, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, text, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		text += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

int ledger_save(int fd, const char *path, struct ledger *l, bool sync, struct err *e)
{
	char *slot = xmalloc(LEDGER_SLOT_BYTES);
	l->seq++;
	size_t len = ledger_encode(l, slot);
	int code = len ? 0 : EINVAL;
	if (!code && fs_fault)
		code = fs_fault("write", path);
	if (!code)
		code = put(fd, slot, len, (off_t)(l->seq & 1) * LEDGER_SLOT_BYTES);
	free(slot);
	if (!code && sync && fs_fault)
		code = fs_fault("fsync", path);
	if (!code && sync && fdatasync(fd) < 0)
		code = errno;
	return code ? err_sys(e, code, "cannot write %s", path) : 0;
}

void ledger_boot(char out[40])
{
	auto_free char *text = NULL;
	size_t len = 0;
	out[0] = '\0';
	if (fs_read("/proc/sys/kernel/random/boot_id", 64, &text, &len, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(out, 40, "%.39s", text);
}
