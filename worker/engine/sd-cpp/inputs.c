/* inputs.c - see inputs.h. SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/inputs.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define FAR_LARGER 2 /* on both sides */

static const char *const names[] = {"picture", "mask"};

void inputs_init(struct inputs *in, const struct engine_job *job, const struct plan *p)
{
	const char *base = p->reference ? job->ref_image : p->init ? job->init_image : NULL;
	*in = (struct inputs){.scratch = job->scratch, .width = p->width, .height = p->height};
	in->path[INPUT_BASE] = xstrdup_opt(base);
	in->path[INPUT_MASK] = xstrdup_opt(p->mask ? job->mask : NULL);
}

void inputs_fini(struct inputs *in)
{
	for (int i = 0; i < INPUT_KINDS; i++)
		free(in->path[i]);
	*in = (struct inputs){0};
}

static const char *demuxer_of(enum picture_format f)
{
	switch (f) {
	case PICTURE_GIF:
		return "gif";
	case PICTURE_BMP:
		return "bmp_pipe";
	case PICTURE_AVIF:
		return "mov";
	case PICTURE_PNG:
	case PICTURE_JPEG:
	case PICTURE_WEBP:
	case PICTURE_UNKNOWN:
		break;
	}
	return NULL;
}

/* What the picture has to be made: *width is 0 when its size may stay. */
static bool wanted_size(const struct inputs *in, enum input_kind k, int *width, int *height)
{
	const struct pixels *size = &in->size[k], *base = &in->size[INPUT_BASE];
	*width = size->width;
	*height = size->height;
	if (k == INPUT_MASK) {
		*width = base->width;
		*height = base->height;
	} else if (size->width > FAR_LARGER * in->width && size->height > FAR_LARGER * in->height) {
		double x = (double)in->width / size->width, y = (double)in->height / size->height;
		double scale = x > y ? x : y; /* the engine cuts what stands over */
		*width = (int)(size->width * scale + 0.5);
		*height = (int)(size->height * scale + 0.5);
	}
	return *width != size->width || *height != size->height;
}

static int remake(struct inputs *in, enum input_kind k, const char *data, size_t len, int width,
		  int height, struct err *e)
{
	struct pixels p, resized;
	int rc = pixels_decode(data, len, k == INPUT_MASK ? 1 : 3, &p, e);
	if (rc < 0)
		return rc;
	if (width != p.width || height != p.height) {
		pixels_resize(&p, width, height, &resized);
		pixels_fini(&p);
		p = resized;
	}
	char *path = xasprintf("%s/%s.png", in->scratch, names[k]);
	rc = pixels_write(&p, path, "png", 0, e);
	in->size[k] = (struct pixels){.width = p.width, .height = p.height, .channels = p.channels};
	pixels_fini(&p);
	free(in->path[k]);
	in->path[k] = path;
	return rc;
}

static int prepare_one(struct inputs *in, enum input_kind k, struct err *e)
{
	auto_free char *data = NULL;
	size_t len;
	int width, height, rc = fs_read(in->path[k], PIXELS_MAX_FILE, &data, &len, e);
	if (rc < 0)
		return rc;
	enum picture_format f = picture_sniff(data, len);
	in->odd = k;
	in->demuxer = demuxer_of(f);
	rc = pixels_probe(data, len, &in->size[k], e);
	if (rc < 0)
		return rc;
	bool resize = wanted_size(in, k, &width, &height);
	bool fits = f == PICTURE_PNG || f == PICTURE_JPEG;
	if (k == INPUT_BASE && in->size[k].channels < 3)
		fits = false;
	return fits && !resize ? 0 : remake(in, k, data, len, width, height, e);
}

int inputs_prepare(struct inputs *in, struct err *e)
{
	in->demuxer = NULL;
	for (int k = 0; k < INPUT_KINDS; k++) {
		int rc = in->path[k] ? prepare_one(in, (enum input_kind)k, e) : 0;
		if (rc < 0) {
			err_wrap(e, "the %s of the job", names[k]);
			return rc;
		}
	}
	return 0;
}
