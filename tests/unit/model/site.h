/* site.h - a file server in a thread of the test, that lies, cuts and stalls as it is told.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_MODEL_SITE_H
#define TESTS_MODEL_SITE_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"

struct site {
	int fd, port;
	pthread_t thread;
	const unsigned char *body;
	_Atomic(size_t) len;
	char etag[64];		   /* with its quotes; "": none */
	const char *modified;	   /* Last-Modified; NULL: none */
	const unsigned char *next; /* what the file becomes at request number change_at */
	const char *next_etag;
	/* Behaviour; written before the requests that it is for. */
	atomic_int change_at, no_ranges;
	atomic_int no_length; /* 1: the end of the connection ends it; 2: chunks */
	atomic_int shift, short_range, lie_total, garbage;
	atomic_int bad_status, bad_times; /* the next requests are answered so; -1: all */
	atomic_int bad_from;		  /* every request from this number on is answered so */
	atomic_int live_most;		  /* more connections at a time get a 403 */
	atomic_int retry_after;
	atomic_int extra;      /* bytes more than announced by Content-Range */
	_Atomic(size_t) cut;   /* closes after so many bytes of body, `cuts` times */
	atomic_int cuts;       /* -1: always */
	_Atomic(size_t) stall; /* stops sending after so many bytes, `stalls` times */
	atomic_int stalls;
	_Atomic(size_t) rate; /* bytes a second and connection; 0: all at once */
	/* What it saw. */
	atomic_int requests, live, most, whole_requests, if_ranges;
	_Atomic(size_t) served;
	atomic_bool closing;
};

struct site_conn {
	struct site *s;
	int fd;
};

static bool site_send(int fd, const void *data, size_t n)
{
	const char *p = data;
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* One of `times`, when there are any left. */
static bool site_once(atomic_int *times)
{
	int n = atomic_load(times);
	while (n > 0 && !atomic_compare_exchange_weak(times, &n, n - 1))
		;
	return n != 0;
}

static bool site_read(int fd, char *head, size_t size)
{
	size_t n = 0;
	while (n + 1 < size) {
		ssize_t k = recv(fd, head + n, size - 1 - n, 0);
		if (k <= 0)
			return false;
		n += (size_t)k;
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return true;
	}
	return false;
}

static void site_wait(struct site *s, int fd)
{
	char c;
	while (!atomic_load(&s->closing) && recv(fd, &c, 1, MSG_DONTWAIT) != 0)
		usleep(2000);
}

static bool site_body(struct site *s, int fd, const unsigned char *from, size_t n)
{
	size_t cut = SIZE_MAX, stall = SIZE_MAX, rate = atomic_load(&s->rate);
	if (atomic_load(&s->cut) && site_once(&s->cuts))
		cut = atomic_load(&s->cut);
	if (atomic_load(&s->stall) && site_once(&s->stalls))
		stall = atomic_load(&s->stall);
	size_t step = rate ? rate / 200 + 1 : 65536;
	for (size_t at = 0; at < n;) {
		size_t k = n - at < step ? n - at : step;
		k = at + k > cut ? cut - at : k;
		k = at + k > stall ? stall - at : k;
		if (!site_send(fd, from + at, k))
			return false;
		at += k;
		atomic_fetch_add(&s->served, k);
		if (at == cut)
			return false;
		if (at == stall) {
			site_wait(s, fd);
			return false;
		}
		if (rate)
			usleep(5000);
	}
	return true;
}

static bool site_refuse(struct site *s, int fd, int status)
{
	char head[256];
	int n = snprintf(head, sizeof head,
			 "HTTP/1.1 %d X\r\nContent-Length: 4\r\nRetry-After: %d\r\n\r\nnope",
			 status, atomic_load(&s->retry_after));
	return site_send(fd, head, (size_t)n);
}

static bool site_answer(struct site *s, int fd, const char *ask)
{
	char head[768];
	const char *range = strcasestr(ask, "\r\nRange: bytes="),
		   *cond = strcasestr(ask, "\r\nIf-Range: ");
	size_t len = atomic_load(&s->len), first = 0, last = len - 1;
	int number = atomic_fetch_add(&s->requests, 1) + 1;
	if (number == atomic_load(&s->change_at)) {
		s->body = s->next;
		snprintf(s->etag, sizeof s->etag, "%s", s->next_etag);
	}
	if (atomic_load(&s->garbage))
		return site_send(fd, "\x01\x02what is this\r\n\r\n", 18) && false;
	if (atomic_load(&s->live_most) && atomic_load(&s->live) > atomic_load(&s->live_most))
		return site_refuse(s, fd, 403);
	if (site_once(&s->bad_times) ||
	    (atomic_load(&s->bad_from) && number >= atomic_load(&s->bad_from)))
		return site_refuse(s, fd, atomic_load(&s->bad_status));
	if (cond) {
		atomic_fetch_add(&s->if_ranges, 1);
		bool same = s->etag[0] ? strncmp(cond + 12, s->etag, strlen(s->etag)) == 0
				       : s->modified && strncmp(cond + 12, s->modified,
								strlen(s->modified)) == 0;
		range = same ? range : NULL;
	}
	if (range && !atomic_load(&s->no_ranges)) {
		char *end;
		first = strtoull(range + 15, &end, 10);
		if (end[0] == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoull(end + 1, NULL, 10);
		last = last >= len ? len - 1 : last;
	} else {
		range = NULL;
		atomic_fetch_add(&s->whole_requests, 1);
	}
	if (range && (len == 0 || first > last))
		return site_refuse(s, fd, 416);
	if (range && atomic_load(&s->short_range) && last - first > 1000)
		last = first + 999;
	bool chunked = atomic_load(&s->no_length) == 2;
	size_t n = range ? last - first + 1 : len, extra = (size_t)atomic_load(&s->extra);
	int k = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n", range ? 206 : 200);
	if (range)
		k += snprintf(head + k, sizeof head - (size_t)k,
			      "Content-Range: bytes %zu-%zu/%zu\r\n",
			      first + (size_t)atomic_load(&s->shift), last,
			      len + (size_t)atomic_load(&s->lie_total));
	if (!atomic_load(&s->no_length))
		k += snprintf(head + k, sizeof head - (size_t)k, "Content-Length: %zu\r\n",
			      n + extra);
	else
		k += snprintf(head + k, sizeof head - (size_t)k, "%s: %s\r\n",
			      chunked ? "Transfer-Encoding" : "Connection",
			      chunked ? "chunked" : "close");
	if (s->etag[0])
		k += snprintf(head + k, sizeof head - (size_t)k, "ETag: %s\r\n", s->etag);
	if (s->modified)
		k += snprintf(head + k, sizeof head - (size_t)k, "Last-Modified: %s\r\n",
			      s->modified);
	k += snprintf(head + k, sizeof head - (size_t)k, "\r\n");
	if (chunked && n)
		k += snprintf(head + k, sizeof head - (size_t)k, "%zx\r\n", n);
	if (!site_send(fd, head, (size_t)k) || !site_body(s, fd, s->body + (range ? first : 0), n))
		return false;
	if (chunked && !site_send(fd, n ? "\r\n0\r\n\r\n" : "0\r\n\r\n", n ? 7 : 5))
		return false;
	for (size_t i = 0; i < extra; i++)
		if (!site_send(fd, "!", 1))
			return false;
	return chunked || !atomic_load(&s->no_length);
}

static void *site_serve(void *arg)
{
	struct site_conn *c = arg;
	struct site *s = c->s;
	char ask[8192];
	int live = atomic_fetch_add(&s->live, 1) + 1, most = atomic_load(&s->most);
	while (live > most && !atomic_compare_exchange_weak(&s->most, &most, live))
		;
	while (site_read(c->fd, ask, sizeof ask) && site_answer(s, c->fd, ask))
		;
	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	free(c);
	atomic_fetch_sub(&s->live, 1);
	return NULL;
}

static void *site_accept(void *arg)
{
	struct site *s = arg;
	int fd;
	while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct site_conn *c = xmalloc(sizeof *c);
		pthread_t t;
		*c = (struct site_conn){s, fd};
		pthread_create(&t, NULL, site_serve, c);
		pthread_detach(t);
	}
	return NULL;
}

static struct site *site_new(const unsigned char *body, size_t len)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t alen = sizeof a;
	struct site *s = xcalloc(1, sizeof *s);
	s->body = body;
	atomic_store(&s->len, len);
	snprintf(s->etag, sizeof s->etag, "\"one\"");
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->fd, (struct sockaddr *)&a, sizeof a) || listen(s->fd, 64) ||
	    getsockname(s->fd, (struct sockaddr *)&a, &alen))
		abort();
	s->port = ntohs(a.sin_port);
	pthread_create(&s->thread, NULL, site_accept, s);
	return s;
}

/* Connections end when their client is gone; each is waited for. */
static void site_free(struct site *s)
{
	atomic_store(&s->closing, true);
	shutdown(s->fd, SHUT_RDWR);
	close(s->fd);
	pthread_join(s->thread, NULL);
	while (atomic_load(&s->live))
		usleep(1000);
	free(s);
}

#endif
