/* advert.c - see advert.h.
 * SPDX-License-Identifier: MIT */
#include "worker/session/advert.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"

struct capabilities *advert_snapshot(const struct advert_deps *d)
{
	const struct options *o = &d->config->options;
	struct capabilities *c = capabilities_new();
	str_replace(&c->machine_name, device_machine_name(d->device));
	str_replace(&c->username, device_username(d->device));
	str_replace(&c->agent_version, PROGRAM_VERSION);
	str_replace(&c->engine, "multi");
	c->vram_total_gb = device_vram_total_gb(d->device);
	c->vram_threshold_gb = o->vram_threshold_gb;
	c->auto_enabled = !jobs_paused(d->jobs);
	c->auto_start = o->auto_start;
	c->auto_update = o->auto_update_enabled;
	c->start_minimised = o->start_minimised;
	c->only_when_idle = o->only_when_idle;
	c->presence = device_presence(d->device);
	engines_advertise(d->engines, c);
	return c;
}

static void add_name(struct buf *b, const char *name)
{
	/* A line too long for the buffer is cut there; the studio has the whole list in the frame.
	 */
	if (b->len && !buf_add(b, ", ", 2))
		return;
	(void)!buf_printf(b, "%s", name);
}

void advert_log(const struct advert_deps *d, const struct capabilities *c)
{
	struct buf kinds, models;
	buf_init(&kinds, 256);
	buf_init(&models, 4096);
	for (int k = 0; k < KIND_COUNT; k++)
		if (c->kinds & KIND_BIT(k))
			add_name(&kinds, kind_name((enum kind)k));
	for (size_t i = 0; i < c->models.n; i++)
		add_name(&models, c->models.items[i]);
	log_info(d->log, "ws", NULL,
		 "advertising engine=%s, vram=%g/%gGB threshold, auto_enabled=%s, kinds=[%s], "
		 "%zu model(s)=[%s]",
		 c->engine, c->vram_total_gb, c->vram_threshold_gb,
		 c->auto_enabled ? "true" : "false", kinds.len ? kinds.data : "", c->models.n,
		 models.len ? models.data : "");
	buf_fini(&kinds);
	buf_fini(&models);
	if (c->vram_total_gb > 0 && c->vram_threshold_gb > c->vram_total_gb)
		log_warn(d->log, "ws", NULL,
			 "vram_threshold_gb is %g but only %g GB were detected: jobs up to the "
			 "threshold may run out of memory",
			 c->vram_threshold_gb, c->vram_total_gb);
}
