/* table.c - rows of text in aligned columns, as wide as they need to be and the terminal allows.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "studio/cli/table.h"

#define CELL_MAX     60 /* columns a cell may take */
#define GAP	     2
#define SQUEEZED_MIN 6
#define WIDTH_MIN    20
#define WIDTH_USUAL  80
#define ID_SHOWN     12

void table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){.heads = heads};
	while (heads[t->columns])
		t->columns++;
}

char *clean_text(const char *text)
{
	char *copy = xstrdup(text && *text ? text : "-");

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return copy;
}

void table_row(struct table *t, const char *const *cells)
{
	if (t->rows == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 32;
		t->cells = xrealloc(t->cells, t->cap * t->columns * sizeof *t->cells);
	}
	for (size_t i = 0; i < t->columns; i++)
		t->cells[t->rows * t->columns + i] = clean_text(cells[i]);
	t->rows++;
}

/* Characters, not bytes: what is no continuation byte of UTF-8. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

size_t bytes_of(const char *s, size_t chars)
{
	size_t i = 0;

	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && chars-- == 0)
			break;
	return i;
}

size_t terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_MIN)
		return size.ws_col;
	return WIDTH_USUAL;
}

const char *id_shown(const char *id, char out[16])
{
	if (!isatty(STDOUT_FILENO))
		return id;
	snprintf(out, 16, "%.*s", ID_SHOWN, id);
	return out;
}

static void print_cell(const char *text, size_t room, size_t gap)
{
	size_t w = width(text);

	if (w > room) {
		printf("%.*s...", (int)bytes_of(text, room - 3), text);
		w = room;
	} else {
		fputs(text, stdout);
	}
	for (; gap && w < room + gap; w++)
		putchar(' ');
}

static void print_line(const struct table *t, const char *const *cells, const size_t *widths)
{
	for (size_t i = 0; i < t->columns; i++)
		print_cell(cells[i], widths[i], i + 1 < t->columns ? GAP : 0);
	putchar('\n');
}

/* The widest columns give way until a row fits; the first, the id, stays whole. */
static void squeeze(const struct table *t, size_t *widths, size_t room)
{
	for (;;) {
		size_t total = 0, widest = 1;
		for (size_t i = 0; i < t->columns; i++) {
			total += widths[i] + (i ? GAP : 0);
			if (i && widths[i] > widths[widest])
				widest = i;
		}
		if (total <= room || t->columns < 2 || widths[widest] <= SQUEEZED_MIN)
			return;
		widths[widest]--;
	}
}

void table_print(const struct table *t)
{
	size_t widths[TABLE_COLUMNS] = {0};

	for (size_t i = 0; i < t->columns; i++) {
		widths[i] = width(t->heads[i]);
		for (size_t row = 0; row < t->rows; row++) {
			size_t w = width(t->cells[row * t->columns + i]);
			w = w > CELL_MAX ? CELL_MAX : w;
			widths[i] = w > widths[i] ? w : widths[i];
		}
	}
	if (isatty(STDOUT_FILENO))
		squeeze(t, widths, terminal_width(STDOUT_FILENO));
	print_line(t, t->heads, widths);
	for (size_t row = 0; row < t->rows; row++)
		print_line(t, (const char *const *)&t->cells[row * t->columns], widths);
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
}

const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

void age_of(const json_t *o, const char *key, char out[32])
{
	int64_t then, s;

	if (!time_parse(text_of(o, key), &then)) {
		snprintf(out, 32, "-");
		return;
	}
	s = (int64_t)time(NULL) - then / 1000;
	s = s < 0 ? 0 : s;
	if (s < 120)
		snprintf(out, 32, "%d s", (int)s);
	else if (s < 7200)
		snprintf(out, 32, "%d min", (int)(s / 60));
	else if (s < 172800)
		snprintf(out, 32, "%d h", (int)(s / 3600));
	else
		snprintf(out, 32, "%lld d", (long long)(s / 86400));
}
