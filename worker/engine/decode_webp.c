/* decode_webp.c - see decode.h. SPDX-License-Identifier: MIT */
#include <errno.h>

#include <webp/decode.h>

#include "worker/engine/decode.h"

static int decode_into(const unsigned char *data, size_t len, struct pixels *p)
{
	int stride = p->width * p->channels;
	size_t size = (size_t)stride * (size_t)p->height;
	return p->channels == 4 ? WebPDecodeRGBAInto(data, len, p->data, size, stride) != NULL
				: WebPDecodeRGBInto(data, len, p->data, size, stride) != NULL;
}

static int head(const unsigned char *data, size_t len, WebPBitstreamFeatures *f, struct err *e)
{
	if (WebPGetFeatures(data, len, f) != VP8_STATUS_OK)
		return err_set(e, EBADMSG, "the WebP is broken: its header does not read");
	if (f->has_animation)
		return err_set(e, ENOTSUP,
			       "animated WebP pictures are not read here; use a still "
			       "one, PNG or JPEG");
	return 0;
}

int probe_webp(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	WebPBitstreamFeatures f;
	int rc = head(data, len, &f, e);
	return rc < 0
		   ? rc
		   : pixels_size(p, (unsigned)f.width, (unsigned)f.height, f.has_alpha ? 4 : 3, e);
}

int decode_webp(const unsigned char *data, size_t len, struct pixels *p, struct err *e)
{
	WebPBitstreamFeatures f;
	int rc = head(data, len, &f, e);
	if (rc == 0)
		rc = pixels_room(p, (unsigned)f.width, (unsigned)f.height, f.has_alpha ? 4 : 3, e);
	if (rc < 0 || decode_into(data, len, p))
		return rc;
	pixels_fini(p);
	return err_set(e, EBADMSG, "the WebP is broken or cut short");
}
