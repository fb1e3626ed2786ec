/* outcome.c - what the engine made: whether it is what was asked for, and the result made of it.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/sd-cpp/run.h"

#define MULTIPLE     64	   /* engines round sizes up to a multiple of at most this */
#define TRANSCODE_MS 60000 /* and 20 ns a pixel of the film */
#define AVI_SIZE_AT  64	   /* of the width, then the height, in the header of an AVI */
#define QUALITY	     90

static int check_size(struct engine_run *r, int width, int height, struct err *e)
{
	const struct plan *p = &r->plan;
	if (width < p->width || height < p->height || width >= p->width + MULTIPLE ||
	    height >= p->height + MULTIPLE)
		return err_set(e, EPROTO, "the engine made %dx%d instead of %lldx%lld", width,
			       height, (long long)p->width, (long long)p->height);
	r->raw_width = width;
	r->raw_height = height;
	return 0;
}

static int garbage(struct err *e, const char *what, const struct err *why)
{
	return err_set(e, EPROTO, "the engine's %s is none: %s", what, why->text);
}

/* ---- pictures ---- */

static const char *format_of(const char *data, size_t len)
{
	switch (picture_sniff(data, len)) {
	case PICTURE_PNG:
		return "png";
	case PICTURE_JPEG:
		return "jpeg";
	case PICTURE_WEBP:
		return "webp";
	case PICTURE_UNKNOWN:
	case PICTURE_GIF:
	case PICTURE_BMP:
	case PICTURE_AVIF:
		break;
	}
	return "";
}

static const char *format_asked(const char *ext)
{
	return strcmp(ext, "jpg") == 0 ? "jpeg" : ext;
}

/* The middle of it, as large as was asked. */
static void crop(struct pixels *p, int width, int height)
{
	size_t ch = (size_t)p->channels, from = (size_t)p->width * ch, to = (size_t)width * ch;
	size_t left = (size_t)(p->width - width) / 2 * ch, top = (size_t)(p->height - height) / 2;
	for (size_t y = 0; y < (size_t)height; y++)
		memmove(p->data + y * to, p->data + (top + y) * from + left, to);
	p->width = width;
	p->height = height;
}

static int remake(struct engine_run *r, const char *data, size_t len, struct err *e)
{
	struct pixels p;
	struct err why = ERR_INIT;
	if (pixels_decode(data, len, 3, &p, &why) < 0)
		return garbage(e, "picture", &why);
	crop(&p, (int)r->plan.width, (int)r->plan.height);
	int rc = pixels_write(&p, r->result, r->plan.ext, QUALITY, e);
	pixels_fini(&p);
	return rc;
}

static int look_at_picture(struct engine_run *r, struct err *e)
{
	auto_free char *data = NULL;
	size_t len;
	struct pixels size;
	struct err why = ERR_INIT;
	int rc = fs_read(r->raw, PIXELS_MAX_FILE, &data, &len, &why);
	if (rc < 0 || pixels_probe(data, len, &size, &why) < 0)
		return garbage(e, "picture", &why);
	if (!pixels_ends_well(data, len))
		return err_set(e, EPROTO, "the engine's picture is cut off after %zu bytes", len);
	rc = check_size(r, size.width, size.height, e);
	if (rc < 0)
		return rc;
	bool exact = size.width == r->plan.width && size.height == r->plan.height;
	if (!exact || strcmp(format_of(data, len), format_asked(r->plan.ext)) != 0)
		return remake(r, data, len, e);
	return rename(r->raw, r->result) == 0 ? 0 : err_sys(e, errno, "cannot rename %s", r->raw);
}

/* ---- videos ---- */

static unsigned little_endian(const unsigned char *d)
{
	return d[0] | (unsigned)d[1] << 8 | (unsigned)d[2] << 16 | (unsigned)d[3] << 24;
}

static int look_at_video(struct engine_run *r, struct err *e)
{
	unsigned char head[AVI_SIZE_AT + 8];
	struct err why = ERR_INIT;
	int fd = fs_open_regular(r->raw, &why);
	if (fd < 0)
		return garbage(e, "video", &why);
	ssize_t n = pread(fd, head, sizeof head, 0);
	close(fd);
	if (n != (ssize_t)sizeof head || memcmp(head, "RIFF", 4) != 0 ||
	    memcmp(head + 8, "AVI ", 4) != 0 || memcmp(head + 24, "avih", 4) != 0)
		return err_set(e, EPROTO, "the engine's video is no AVI");
	unsigned w = little_endian(head + AVI_SIZE_AT), h = little_endian(head + AVI_SIZE_AT + 4);
	if (w > PIXELS_MAX_SIDE || h > PIXELS_MAX_SIDE)
		w = h = 0;
	return check_size(r, (int)w, (int)h, e);
}

static void look(struct work *w)
{
	struct engine_run *r = container_of(w, struct engine_run, work);
	if (r->plan.video)
		look_at_video(r, &r->work_err);
	else
		look_at_picture(r, &r->work_err);
}

void outcome_check(struct engine_run *r, void (*then)(struct engine_run *))
{
	free(r->result);
	r->result = xasprintf("%s/result-%u.%s", r->job->scratch, r->attempt, r->plan.ext);
	sd_run_pool(r, look, then);
}

/* ---- the result ---- */

static void encoding(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_RUNNING, 0.98 + 0.02 * fraction, "encoding");
}

static void encoded(void *arg, const struct err *err)
{
	struct engine_run *r = arg;
	r->transcode = NULL;
	sd_run_finish(r, err, true);
}

/* H.264 in 4:2:0 needs even sides; an odd one keeps a pixel more of what the engine rounded up. */
static int side(const struct engine_run *r, int64_t asked)
{
	return (int)(strcmp(r->plan.ext, "mp4") == 0 ? asked + asked % 2 : asked);
}

static int encode(struct engine_run *r, struct err *e)
{
	static const struct transcode_events events = {.progress = encoding, .end = encoded};
	const struct plan *p = &r->plan;
	double pixels = (double)r->raw_width * r->raw_height * (double)p->frames;
	struct transcode_spec spec = {
	    .ffmpeg = r->engine->ffmpeg,
	    .job_id = r->job->job_id,
	    .input = r->raw,
	    .output = r->result,
	    .ext = p->ext,
	    .demuxer = "avi",
	    .frames = p->keep,
	    .seconds = (double)p->keep / p->fps,
	    .deadline_ms = TRANSCODE_MS + (uint64_t)(pixels * 20e-6),
	};
	if (r->raw_width != side(r, p->width) || r->raw_height != side(r, p->height)) {
		spec.crop_width = side(r, p->width);
		spec.crop_height = side(r, p->height);
	}
	r->transcode = transcode_start(&r->engine->env, &spec, &events, r, e);
	return r->transcode ? 0 : -e->code;
}

void outcome_deliver(struct engine_run *r)
{
	struct err e = ERR_INIT;
	if (!r->plan.video || r->cancelled)
		sd_run_finish(r, NULL, false);
	else if (encode(r, &e) < 0)
		sd_run_finish(r, &e, true);
}
