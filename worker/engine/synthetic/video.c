/* video.c - the picture of a prompt in motion: raw frames go through a FIFO to ffmpeg, so that a
 * long video needs no more memory or disk than a short one. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "worker/engine/synthetic/run.h"

#define MAX_SIDE     4096
#define MAX_PIXELS   9000000
#define MAX_SECONDS  120.0
#define MAX_FPS	     60.0
#define MAX_TOTAL    6000000000.0 /* pixels of all frames: about an hour of one core */
#define MS_A_PIXEL   0.02	  /* most time for a pixel: 20 times what one core of 2020 needs */
#define FPS_NORMAL   24.0
#define WAIT_MS	     50	 /* between looks at the stop flag */
#define LOOP_SECONDS 6.0 /* after so long the motion repeats */

static int check(const struct task_video *t, double fps, struct err *err)
{
	if (!transcode_can(t->ext, true))
		return err_set(err, EINVAL, "a video can be mp4, webm, webp or gif, not '%.16s'",
			       t->ext);
	if (run_check_size(t->width, t->height, MAX_SIDE, MAX_PIXELS, err) < 0)
		return -err->code;
	if (!(t->seconds > 0) || t->seconds > MAX_SECONDS)
		return err_set(err, EINVAL, "a length of %g seconds is out of range: up to %g",
			       t->seconds, MAX_SECONDS);
	if (!(fps >= 1) || fps > MAX_FPS)
		return err_set(err, EINVAL, "%g frames a second are out of range: 1 to %g", fps,
			       MAX_FPS);
	if ((double)(t->width * t->height) * t->seconds * fps > MAX_TOTAL)
		return err_set(
		    err, EINVAL,
		    "%lldx%lld for %g seconds at %g frames a second is too much; ask for less",
		    (long long)t->width, (long long)t->height, t->seconds, fps);
	return 0;
}

/* H.264 in 4:2:0 needs even sides: an odd one gets a pixel more. */
static int side(const struct task_video *t, int64_t n)
{
	return (int)(strcmp(t->ext, "mp4") == 0 ? n + n % 2 : n);
}

static int start_ffmpeg(struct engine_run *r, double seconds, struct err *err)
{
	r->input = xasprintf("%s/frames", r->job->scratch);
	if (mkfifo(r->input, 0600) < 0)
		return err_sys(err, errno, "cannot make a FIFO in the scratch folder");
	double pixels = (double)r->total * r->picture->w;
	struct transcode_spec spec = {
	    .width = r->picture->w,
	    .height = r->picture->h,
	    .fps = r->fps,
	    .seconds = seconds,
	    .deadline_ms = 120000 + (uint64_t)(pixels * MS_A_PIXEL),
	};
	return run_transcode(r, &spec, err);
}

int video_prepare(struct engine_run *r, struct err *err)
{
	const struct task_video *t = &r->job->task->video;
	r->fps = t->has_fps ? t->fps : FPS_NORMAL;
	if (!r->engine->ffmpeg)
		return err_set(err, ENOENT, "video needs the program ffmpeg; " TRANSCODE_REMEDY);
	if (check(t, r->fps, err) < 0)
		return -err->code;
	run_key("image", t->prompt, "", r->key);
	r->frames = (int64_t)(t->seconds * r->fps + 0.5);
	if (r->frames < 1)
		r->frames = 1;
	r->ext = xstrdup(t->ext);
	r->file = xasprintf("%s/result.%s", r->job->scratch, t->ext);
	r->picture = xmalloc(sizeof *r->picture);
	picture_init(r->picture, r->key, side(t, t->width), side(t, t->height));
	r->picture->grain = 0.8; /* moving grain is what an encoder is worst at */
	r->total = r->frames * r->picture->h;
	return start_ffmpeg(r, t->seconds, err);
}

static int stopped(struct err *err)
{
	return err_set(err, ECANCELED, "cancelled");
}

/* Opening a FIFO for writing fails until somebody reads it. */
static int open_fifo(struct engine_run *r, struct err *err)
{
	for (;;) {
		int fd = open(r->input, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENXIO && errno != EINTR)
			return err_sys(err, errno, "cannot open the FIFO to ffmpeg");
		if (atomic_load(&r->stop))
			return stopped(err);
		poll(NULL, 0, WAIT_MS);
	}
}

static int feed(struct engine_run *r, int fd, const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		if (atomic_load(&r->stop))
			return stopped(err);
		ssize_t n = write(fd, data, len);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};
			poll(&p, 1, WAIT_MS);
		} else if (errno != EINTR) {
			return err_sys(err, errno, "ffmpeg does not take any more frames");
		}
	}
	return 0;
}

static int frame(struct engine_run *r, int64_t n, int fd, uint8_t *rgb, struct err *err)
{
	double phase = (double)n / r->fps / LOOP_SECONDS;
	size_t len = (size_t)r->picture->w * 3;
	for (int y = 0; y < r->picture->h; y++) {
		picture_row(r->picture, y, phase, rgb);
		if (feed(r, fd, rgb, len, err) < 0)
			return -err->code;
		atomic_fetch_add(&r->done, 1);
	}
	return 0;
}

int video_render(struct engine_run *r, struct err *err)
{
	int fd = open_fifo(r, err), rc = 0;
	if (fd < 0)
		return -err->code;
	auto_free uint8_t *rgb = xmalloc((size_t)r->picture->w * 3);
	for (int64_t n = 0; n < r->frames && rc == 0; n++)
		rc = frame(r, n, fd, rgb, err);
	close(fd);
	return rc;
}
