/* table.c - rows of text in aligned columns, as wide as they need to be.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "studio/cli/table.h"

#define CELL_MAX 60 /* columns a cell may take on the terminal */

void table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){.heads = heads};
	while (heads[t->columns])
		t->columns++;
}

/* Texts come from workers: no control characters reach the terminal. */
static char *clean(const char *text)
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
		t->cells[t->rows * t->columns + i] = clean(cells[i]);
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

static size_t bytes_of(const char *s, size_t chars)
{
	size_t i = 0;

	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && chars-- == 0)
			break;
	return i;
}

static void print_cell(const char *text, size_t columns)
{
	size_t w = width(text);

	if (w > CELL_MAX) {
		printf("%.*s...", (int)bytes_of(text, CELL_MAX - 3), text);
		w = CELL_MAX;
	} else {
		fputs(text, stdout);
	}
	for (; w < columns; w++)
		putchar(' ');
}

static void print_line(const struct table *t, const char *const *cells, const size_t *widths)
{
	for (size_t i = 0; i < t->columns; i++)
		print_cell(cells[i], i + 1 < t->columns ? widths[i] + 2 : 0);
	putchar('\n');
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
