/* request_framing.c - whether a request's headers mean the same to every program on its way.
 * libmicrohttpd takes the first of two lengths, ignores a length beside chunks and a header with a
 * blank in its name, and sees only what is in front of a NUL; a proxy in front of us may not.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/net/daemon.h"

/* Later versions refuse a NUL themselves, and leave other gaps between what they hand out. */
#define MHD_HIDES_BEHIND_NUL (MHD_VERSION <= 0x00097700)

struct framing {
	unsigned lengths, encodings;
	const char *next; /* behind the last header in MHD's buffer, where the next one starts */
	bool bad;
};

static bool length_valid(const char *value)
{
	return *value && !value[strspn(value, "0123456789")];
}

/* MHD cuts its buffer into strings in place: what is neither a string of its own nor the end of a
 * line in between was hidden behind a NUL. */
static bool hidden(struct framing *f, const char *name, const char *value)
{
	bool bad = name < f->next || name > f->next + 2;
	f->next = value + strlen(value);
	return bad;
}

static enum MHD_Result look(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	struct framing *f = arg;
	if (!value) /* no colon */
		f->bad = true;
	if (f->bad)
		return MHD_NO;
	f->bad = (MHD_HIDES_BEHIND_NUL && hidden(f, name, value)) || !*name ||
		 name[strcspn(name, " \t")];
	if (strcasecmp(name, "Content-Length") == 0) {
		f->lengths++;
		f->bad |= !length_valid(value);
	}
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->bad |= strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

/* How much of the head is left behind the last header: the ends of its line and of the empty one.
 */
static bool ends(const struct request *r, const struct framing *f, const char *start)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	return info && f->next + 4 >= start + info->header_size;
}

bool request_framing_valid(const struct request *r, const char *method, const char *uri_end,
			   const char *version)
{
	struct framing f = {.next = version + strlen(version)};
	MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, look, &f);
	if (f.bad || f.lengths + f.encodings > 1)
		return false;
	return !MHD_HIDES_BEHIND_NUL || (uri_end + 1 == version && ends(r, &f, method));
}
