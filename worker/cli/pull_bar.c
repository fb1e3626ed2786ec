/* pull_bar.c - see pull_bar.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/pull_bar.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

#define CELLS	  20
#define COLUMNS	  80
#define EVERY_MS  5000
#define NAME_ROOM 16

void pull_bar_init(struct pull_bar *b, int fd)
{
	*b = (struct pull_bar){.fd = fd, .terminal = isatty(fd)};
}

static size_t columns(int fd)
{
	struct winsize w;
	return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : COLUMNS;
}

/* " 34 % [#######             ] "; "" while the whole is not known. */
static void gauge(const struct store_progress *p, char out[CELLS + 16])
{
	out[0] = '\0';
	if (!p->total)
		return;
	double fraction = (double)p->done / (double)p->total;
	int full = (int)((fraction > 1 ? 1 : fraction) * CELLS);
	char cells[CELLS + 1];
	memset(cells, ' ', CELLS);
	memset(cells, '#', (size_t)full);
	cells[CELLS] = '\0';
	/* 100 % is for what is whole. */
	snprintf(out, CELLS + 16, "%3d %% [%s] ", p->done >= p->total ? 100 : (int)(fraction * 100),
		 cells);
}

/* The end of a long name is what tells files apart; the numbers need the room. */
static char *short_name(const char *name)
{
	size_t n = strlen(name);
	return n > NAME_ROOM ? xasprintf("..%s", name + n - (NAME_ROOM - 2)) : xstrdup(name);
}

static void put(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

void pull_bar_draw(struct pull_bar *b, const struct store_progress *p, uint64_t now_ms)
{
	char text[256], bar[CELLS + 16];
	b->done = p->done;
	if (!b->terminal && (now_ms < b->due_ms || b->told == b->done))
		return;
	b->due_ms = now_ms + EVERY_MS;
	b->told = b->done;
	auto_free char *name = b->terminal ? short_name(p->filename) : xstrdup(p->filename);
	struct store_progress named = *p;
	named.filename = name;
	store_progress_text(&named, text, sizeof text);
	utf8_clean(text);
	gauge(p, bar);
	if (!b->terminal) {
		auto_free char *line = xasprintf("%s\n", text);
		put(b->fd, line);
		return;
	}
	size_t room = columns(b->fd) - 1;
	utf8_cut(text, room > strlen(bar) ? room - strlen(bar) : 0);
	auto_free char *line = xasprintf("\r%s%s\033[K", bar, text);
	put(b->fd, line);
	b->drawn = true;
}

void pull_bar_end(struct pull_bar *b)
{
	if (b->drawn)
		put(b->fd, "\n");
	b->drawn = false;
}
