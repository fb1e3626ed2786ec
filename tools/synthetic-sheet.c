/* synthetic-sheet.c - draws the contact sheet of docs/synthetic.md: twelve prompts, four in a row.
 * Usage: synthetic-sheet FILE.webp [PROMPT...]
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/synthetic/run.h"
#include "worker/engine/writer.h"

#define SIDE 288
#define GAP  12
#define COLS 4
#define MAX  12

static const char *const twelve[MAX] = {
    "a lighthouse at dawn", "a desert caravan", "a blue door",	   "a whale under the ice",
    "mountain monastery",   "tea garden",	"red kites",	   "harbour in the fog",
    "a comet over the bay", "winter palace",	"a bowl of fruit", "planets in a row",
};

static void place(uint8_t *sheet, int width, const char *prompt, int i)
{
	unsigned char key[32];
	struct picture *p = xmalloc(sizeof *p);
	int left = GAP + i % COLS * (SIDE + GAP), top = GAP + i / COLS * (SIDE + GAP);
	run_key("image", prompt, "", key);
	picture_init(p, key, SIDE, SIDE);
	printf("%2d  %-10s %s\n", i + 1, picture_scene_name(p), prompt);
	for (int y = 0; y < SIDE; y++)
		picture_row(p, y, 0,
			    sheet + ((size_t)(top + y) * (size_t)width + (size_t)left) * 3);
	free(p);
}

static int save(const char *path, const uint8_t *sheet, int w, int h, struct err *e)
{
	struct image_spec spec = {
	    .path = path, .ext = "webp", .width = w, .height = h, .channels = 3};
	struct image_writer *iw = image_writer_open(&spec, e);
	int rc = iw ? 0 : -e->code;
	for (int y = 0; y < h && rc == 0; y++)
		rc = image_writer_row(iw, sheet + (size_t)y * (size_t)w * 3, e);
	if (rc == 0)
		rc = image_writer_finish(iw, e);
	image_writer_free(iw);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	if (argc < 2) {
		fprintf(stderr, "usage: synthetic-sheet FILE.webp [PROMPT...]\n");
		return 2;
	}
	int n = argc > 2 ? argc - 2 : MAX;
	int w = GAP + COLS * (SIDE + GAP), h = GAP + (n + COLS - 1) / COLS * (SIDE + GAP);
	auto_free uint8_t *sheet = xmalloc((size_t)w * (size_t)h * 3);
	memset(sheet, 0xf4, (size_t)w * (size_t)h * 3);
	for (int i = 0; i < n; i++)
		place(sheet, w, argc > 2 ? argv[i + 2] : twelve[i], i);
	if (save(argv[1], sheet, w, h, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return 0;
}
