/* world_models.c - the models of the null storage.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/base/mem.h"
#include "studio/storage/world_parts.h"

void world_free_model(struct model_row *row)
{
	model_record_fini(&row->m);
	free(row);
}

static struct model_row *find_model(struct null_world *w, const char *id)
{
	struct model_row *row;
	HASH_FIND_STR(w->models, id, row);
	return row;
}

void world_model_put(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row) {
		HASH_DEL(w->models, row);
		world_free_model(row);
	}
	row = xcalloc(1, sizeof(*row));
	model_record_copy(&row->m, &o->model);
	HASH_ADD_KEYPTR(hh, w->models, row->m.id, strlen(row->m.id), row);
	o->changed = true;
}

void world_model_get(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row)
		model_record_copy(op_add_model(o), &row->m);
	else
		world_missing(o, "model");
}

static int by_id(struct model_row *a, struct model_row *b)
{
	return strcmp(a->m.id, b->m.id);
}

void world_model_list(struct null_world *w, struct op *o)
{
	struct model_row *row, *tmp;
	HASH_SORT(w->models, by_id);
	HASH_ITER (hh, w->models, row, tmp)
		model_record_copy(op_add_model(o), &row->m);
}

void world_model_delete(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row) {
		HASH_DEL(w->models, row);
		world_free_model(row);
		o->changed = true;
	} else {
		world_missing(o, "model");
	}
}
