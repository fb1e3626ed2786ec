/* answer.c - what a server's answer to one stream means: which file it is, whether it has ranges,
 * and what a failure calls for; see download_internal.h. The server may lie.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/download_internal.h"
#include "worker/model/find.h"
#include "worker/model/part.h"

/* In a row, of a lone stream: a server that counts connections may count one that just ended. */
#define REFUSALS_MAX 3

static void keep(char *to, const char *text)
{
	/* What is too long, or no header could carry back, is no validator. */
	if (!text || strlen(text) > LEDGER_TAG_MAX || strpbrk(text, "\r\n"))
		text = "";
	snprintf(to, LEDGER_TAG_MAX + 1, "%s", text);
}

static bool differs(const char *ours, const char *theirs)
{
	return ours[0] && theirs && strlen(theirs) <= LEDGER_TAG_MAX && strcmp(ours, theirs) != 0;
}

static bool same_file(const struct download *d, const struct fetch_head *h, uint64_t total)
{
	if (d->total != TOTAL_UNKNOWN && total != d->total)
		return false;
	if (differs(d->etag, h->etag))
		return false;
	return (d->etag[0] && h->etag) || !differs(d->modified, h->last_modified);
}

static bool refuse(struct range *r, int code, const char *what)
{
	err_set(&r->bad, code, "the server of %s %s", r->d->filename, what);
	return false;
}

/* Without a hash to tell, a size that is far off is another file, or an error page. */
static bool plausible(struct range *r, uint64_t total)
{
	struct download *d = r->d;
	char is[24], asked[24];
	struct err e = ERR_INIT;
	if (d->sha256 || total == TOTAL_UNKNOWN || (total && find_size_fits(total, d->approx)))
		return true;
	part_size_text(total, is);
	part_size_text(d->approx, asked);
	if (d->approx)
		err_set(&e, EPROTO, "%s has %s at its address, not about %s as the offer says",
			d->filename, is, asked);
	else
		err_set(&e, EPROTO, "%s is empty at its address", d->filename);
	download_fail(d, false, &e);
	return false;
}

/* A body that ends with its connection is as whole as it looks wherever that was cut. */
static bool tells_end(struct range *r, const struct fetch_head *h, uint64_t total)
{
	struct err e = ERR_INIT;
	if (r->d->sha256 || total != TOTAL_UNKNOWN || h->framed)
		return true;
	err_set(&e, EPROTO,
		"%s comes without its length, and the offer gives no SHA-256 that would show "
		"whether it is whole",
		r->d->filename);
	download_fail(r->d, false, &e);
	return false;
}

bool answer_ended(struct range *r)
{
	if (!plausible(r, r->pos))
		return false;
	r->d->total = r->end = r->pos;
	return true;
}

/* Weak tags don't promise equal bytes (RFC 9110, 13.1.5); then the date does, or nobody. */
const char *answer_validator(const char *etag, const char *modified)
{
	if (etag[0] == '"')
		return etag;
	return modified[0] ? modified : NULL;
}

/* The first answer of all: this is the file that we are after from now on. */
static bool adopt(struct range *r, const struct fetch_head *h, uint64_t total)
{
	struct download *d = r->d;
	if (total != TOTAL_UNKNOWN && total > INT64_MAX / 2)
		return refuse(r, EPROTO, "names a size that no file has");
	if (!plausible(r, total) || !tells_end(r, h, total))
		return false;
	d->total = total;
	keep(d->etag, h->etag);
	keep(d->modified, h->last_modified);
	/* Nothing would tell another file's bytes from this one's: all of them from one answer. */
	if (!d->sha256 && !answer_validator(d->etag, d->modified))
		d->no_ranges = true;
	r->headed = true;
	if (r->end > total)
		r->end = total;
	if (r->asked_end > total)
		r->asked_end = total;
	download_soon(d); /* to look for room */
	return true;
}

static bool part_answer(struct range *r, const struct fetch_head *h)
{
	struct download *d = r->d;
	if (!h->has_range || h->range_total == UINT64_MAX)
		return refuse(r, EPROTO, "answers 206 without saying which bytes of how many");
	if (h->range_first != r->from || h->range_last < h->range_first ||
	    h->range_last >= h->range_total)
		return refuse(r, EPROTO, "sends other bytes than those that were asked for");
	if (d->total == TOTAL_UNKNOWN)
		return adopt(r, h, h->range_total);
	if (!same_file(d, h, h->range_total)) {
		download_change(d, "the file changed on the server");
		return false;
	}
	r->headed = true;
	d->refusals = 0;
	return true;
}

/* All of the file although a part was asked for: there are no ranges, or If-Range did not hold. */
static bool whole_answer(struct range *r, const struct fetch_head *h)
{
	struct download *d = r->d;
	bool alone = r->from == 0 && !d->done.n && ranges_used(d) == 1;
	if (alone) {
		d->no_ranges = true;
		d->total = TOTAL_UNKNOWN;
		r->end = r->asked_end = TOTAL_UNKNOWN;
		return adopt(r, h, h->length);
	}
	if (same_file(d, h, h->length))
		d->no_ranges = true;
	download_change(d, d->no_ranges ? "the server has no ranges any more"
					: "the file changed on the server");
	return false;
}

/* The range lies outside of the file: it is shorter now, or there is nothing in it at all. */
static bool outside(struct range *r)
{
	struct download *d = r->d;
	if (r->from == 0 && !d->no_range) {
		d->no_range = d->no_ranges = true;
		return refuse(r, EAGAIN, "has no ranges of it (416)");
	}
	download_change(d, "the file is shorter now");
	return false;
}

bool answer_head(struct range *r, const struct fetch_head *h)
{
	r->status = h->status;
	r->retry_after_ms = h->retry_after_ms;
	if (h->status == 206)
		return part_answer(r, h);
	if (h->status == 200)
		return whole_answer(r, h);
	if (h->status == 416)
		return outside(r);
	return false;
}

/* 4xx other than "later" does not get better by asking again. */
static bool hopeless(int status)
{
	return status >= 300 && status < 500 && status != 408 && status != 425 && status != 429 &&
	       status != 416;
}

static void describe(const struct range *r, const struct fetch_end *end, struct err *e)
{
	const char *name = r->d->filename;
	if (r->bad.code)
		*e = r->bad;
	else if (r->status && r->status != 200 && r->status != 206)
		err_set(e, EPROTO, "the server answers %d to the request for %s%s", r->status, name,
			r->status == 401 || r->status == 403
			    ? ": the address needs a permission that this worker lacks"
			    : "");
	else if (end->fault == FETCH_OK || r->stopped)
		err_set(e, EPROTO, "the server sent less of %s than it said", name);
	else {
		*e = end->err;
		err_wrap(e, "downloading %s", name);
	}
}

void answer_fault(struct range *r, const struct fetch_end *end)
{
	struct err e = ERR_INIT;
	struct download *d = r->d;
	bool never = !r->bad.code && hopeless(r->status);
	describe(r, end, &e);
	if (end->fault == FETCH_REFUSED || (never && !d->received))
		download_fail(d, false, &e);
	else if (never && !ranges_live(d) && d->refusals++ >= REFUSALS_MAX)
		download_fail(d, true, &e); /* the address ran out: a new one may work */
	else
		download_stumbled(d, r, &e); /* of several streams one may be too many */
}
