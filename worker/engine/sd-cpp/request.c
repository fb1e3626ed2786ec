/* request.c - what sd-server is asked, as JSON; see inputs.h. The pictures are put behind the rest
 * by hand: through a JSON library each would be in memory three more times.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/sd-cpp/inputs.h"

#define QUALITY	 90 /* of JPEG and WebP; sd-server's own default is 100 */
#define MAX_BODY (200u << 20)

static json_t *sample_params(const struct plan *p)
{
	json_t *guidance = json_pack("{s:f}", "txt_cfg", p->cfg_scale);
	json_t *o =
	    json_pack("{s:I, s:o}", "sample_steps", (json_int_t)p->steps, "guidance", guidance);
	if (p->sampler)
		json_object_set_new(o, "sample_method", json_string(p->sampler));
	if (p->has_flow_shift)
		json_object_set_new(o, "flow_shift", json_real(p->flow_shift));
	return o;
}

static json_t *lora_list(char *const *loras, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:f}", "path", loras[i], "multiplier", 1.0));
	return list;
}

static json_t *settings(const struct plan *p, char *const *loras, size_t n_loras)
{
	json_t *o =
	    json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:o, s:s, s:i, s:b}", "prompt", p->prompt,
		      "negative_prompt", p->negative, "width", (json_int_t)p->width, "height",
		      (json_int_t)p->height, "seed", (json_int_t)p->seed, "strength", p->strength,
		      "sample_params", sample_params(p), "output_format", p->format,
		      "output_compression", QUALITY, "embed_image_metadata", 0);
	if (n_loras)
		json_object_set_new(o, "lora", lora_list(loras, n_loras));
	if (p->video) {
		json_object_set_new(o, "video_frames", json_integer(p->frames));
		json_object_set_new(o, "fps", json_integer(p->fps));
	}
	return o;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *base64(const unsigned char *d, size_t n)
{
	char *out = xmalloc((n + 2) / 3 * 4 + 1), *to = out;
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)d[i] << 16;
		v |= i + 1 < n ? (unsigned)d[i + 1] << 8 : 0;
		v |= i + 2 < n ? d[i + 2] : 0;
		for (int k = 3; k >= 0; k--)
			*to++ = alphabet[v >> 6 * k & 63];
	}
	for (size_t pad = n % 3 ? 3 - n % 3 : 0; pad > 0; pad--)
		to[-(ptrdiff_t)pad] = '=';
	*to = '\0';
	return out;
}

static int add_picture(struct buf *b, const char *key, bool list, const char *path, struct err *e)
{
	auto_free char *data = NULL;
	size_t len;
	int rc = fs_read(path, PIXELS_MAX_FILE, &data, &len, e);
	if (rc < 0)
		return rc;
	auto_free char *text = base64((const unsigned char *)data, len);
	const char *open = list ? "[\"" : "\"", *close = list ? "\"]" : "\"";
	if (buf_printf(b, ",\"%s\":%s", key, open) && buf_add(b, text, strlen(text)) &&
	    buf_add(b, close, strlen(close)))
		return 0;
	return err_set(e, EFBIG, "the pictures of the job are too large together");
}

static int add_pictures(struct buf *b, const struct plan *p, const struct inputs *in, struct err *e)
{
	int rc = 0;
	if (in->path[INPUT_BASE])
		rc = add_picture(b, p->reference ? "ref_images" : "init_image", p->reference,
				 in->path[INPUT_BASE], e);
	if (rc == 0 && in->path[INPUT_MASK])
		rc = add_picture(b, "mask_image", false, in->path[INPUT_MASK], e);
	return rc;
}

char *sd_request_body(const struct plan *p, const struct inputs *in, char *const *loras,
		      size_t n_loras, size_t *len, struct err *e)
{
	struct buf b;
	json_t *o = settings(p, loras, n_loras);
	auto_free char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	buf_init(&b, MAX_BODY);
	if (!text || !buf_add(&b, text, strlen(text) - 1)) {
		err_set(e, EFBIG, "the prompt is too long");
	} else if (add_pictures(&b, p, in, e) == 0 && buf_add(&b, "}", 1)) {
		*len = b.len;
		return buf_steal(&b);
	}
	buf_fini(&b);
	return NULL;
}
