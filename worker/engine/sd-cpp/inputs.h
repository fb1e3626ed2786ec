/* inputs.h - the pictures a job starts from, made fit for the engine, and the request with them.
 *
 * PNG and JPEG with colours pass as they are. Anything else is made a PNG: WebP and grey here (the
 * engine refuses grey), GIF, BMP and AVIF by ffmpeg, what is far larger than the result is made
 * smaller. A mask gets the size of the picture it lies on, so that the engine cuts both alike.
 * Blocks (but ffmpeg): for the pool. SPDX-License-Identifier: MIT */
#ifndef SD_CPP_INPUTS_H
#define SD_CPP_INPUTS_H

#include "worker/engine/pixels.h"
#include "worker/engine/sd-cpp/plan.h"

enum input_kind {
	INPUT_BASE,
	INPUT_MASK,
	INPUT_KINDS
}; /* base: the init or the reference picture */

struct inputs {
	const char *scratch;
	int64_t width, height;		 /* of the result */
	char *path[INPUT_KINDS];	 /* NULL: the job has none; changed on the way */
	struct pixels size[INPUT_KINDS]; /* without data */
	/* Set with -ENOTSUP: this one is for ffmpeg first, whose name of the format this is. */
	enum input_kind odd;
	const char *demuxer;
};
void inputs_init(struct inputs *in, const struct engine_job *job, const struct plan *p);
void inputs_fini(struct inputs *in);
int inputs_prepare(struct inputs *in, struct err *e) MUST_CHECK;

/* The body of POST /sdcpp/v1/img_gen or vid_gen. loras may be NULL. free() it; NULL with e filled
 * when a picture can't be read. */
char *sd_request_body(const struct plan *p, const struct inputs *in, char *const *loras,
		      size_t n_loras, size_t *len, struct err *e) MUST_CHECK;

#endif
