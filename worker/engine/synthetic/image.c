/* image.c - a still picture of the asked size and format.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "worker/engine/synthetic/run.h"
#include "worker/engine/writer.h"

#define MAX_SIDE   8192
#define MAX_PIXELS 64000000

int image_prepare(struct engine_run *r, struct err *err)
{
	const struct task_image *t = &r->job->task->image;
	char seed[24] = "";
	if (!image_writer_can(t->ext))
		return err_set(err, EINVAL, "an image can be webp, png or jpg, not '%.16s'",
			       t->ext);
	if (run_check_size(t->width, t->height, MAX_SIDE, MAX_PIXELS, err) < 0)
		return -err->code;
	if (t->has_seed)
		snprintf(seed, sizeof seed, "%" PRIu64, t->seed);
	run_key("image", t->prompt, seed, r->key);
	r->total = t->height;
	r->ext = xstrdup(t->ext);
	r->file = xasprintf("%s/result.%s", r->job->scratch, t->ext);
	r->picture = xmalloc(sizeof *r->picture);
	picture_init(r->picture, r->key, (int)t->width, (int)t->height);
	return 0;
}

static int draw(struct engine_run *r, struct image_writer *iw, struct err *err)
{
	auto_free uint8_t *rgb = xmalloc((size_t)r->picture->w * 3);
	for (int y = 0; y < r->picture->h; y++) {
		if (atomic_load(&r->stop))
			return err_set(err, ECANCELED, "cancelled");
		picture_row(r->picture, y, 0, rgb);
		if (image_writer_row(iw, rgb, err) < 0)
			return -err->code;
		atomic_fetch_add(&r->done, 1);
	}
	return image_writer_finish(iw, err);
}

int image_render(struct engine_run *r, struct err *err)
{
	struct image_spec spec = {
	    .path = r->file,
	    .ext = r->ext,
	    .width = r->picture->w,
	    .height = r->picture->h,
	    .channels = 3,
	    .stop = &r->stop,
	};
	struct image_writer *iw = image_writer_open(&spec, err);
	if (!iw)
		return -err->code;
	int rc = draw(r, iw, err);
	image_writer_free(iw);
	return rc;
}
