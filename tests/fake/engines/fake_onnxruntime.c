/* fake_onnxruntime.c - a library with ONNX Runtime's entry point, for the tests of engine onnx: the
 * same function table, filled where the engine calls it. Its models are text:
 *
 *   lama SIDE SCALE      paints what is marked white, in 0..SCALE; SIDE -1: left open, 512 then
 *   crash                a model of 8 that ends the process in a run
 *   shape                inputs of another shape
 *
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 256

struct session {
	int side;
	float scale;
	int crash, odd;
};
struct value {
	float *data;
	size_t n;
	int owned;
};
struct type {
	int64_t dims[4];
};

const void *OrtGetApiBase(void);

static const char *error_message(const void *status)
{
	return status;
}

static void *create_env(int level, const char *id, void **out)
{
	(void)level;
	(void)id;
	*out = malloc(1);
	return NULL;
}

static void *broken(const char *why)
{
	return strdup(why);
}

static void *create_session(void *env, const char *path, const void *options, void **out)
{
	char text[64] = "";
	struct session *s = calloc(1, sizeof *s);
	FILE *f = fopen(path, "re");
	(void)env;
	(void)options;
	if (f && !fgets(text, sizeof text, f))
		text[0] = '\0';
	if (f)
		fclose(f);
	*s = (struct session){.side = 8, .scale = 1};
	s->crash = strncmp(text, "crash", 5) == 0;
	s->odd = strncmp(text, "shape", 5) == 0;
	if (sscanf(text, "lama %d %f", &s->side, &s->scale) != 2 && !s->crash && !s->odd) {
		free(s);
		return broken("Protobuf parsing failed.");
	}
	*out = s;
	return NULL;
}

static void *set_threads(void *options, int n)
{
	(void)options;
	return n > 0 ? NULL : broken("no threads");
}

static void *input_count(const void *session, size_t *n)
{
	(void)session;
	*n = 2;
	return NULL;
}

static void *output_count(const void *session, size_t *n)
{
	(void)session;
	*n = 1;
	return NULL;
}

static void *input_type(const void *session, size_t i, void **out)
{
	const struct session *s = session;
	struct type *t = calloc(1, sizeof *t);
	*t = (struct type){{-1, i == 0 ? 3 : 1, s->side, s->odd ? 4 : s->side}};
	*out = t;
	return NULL;
}

static void *input_name(const void *session, size_t i, void *allocator, char **out)
{
	(void)session;
	(void)allocator;
	*out = strdup(i == 0 ? "image" : "mask");
	return NULL;
}

static void *output_name(const void *session, size_t i, void *allocator, char **out)
{
	(void)session;
	(void)i;
	(void)allocator;
	*out = strdup("output");
	return NULL;
}

static void *create_tensor(const void *memory, void *data, size_t len, const int64_t *shape,
			   size_t n, int type, void **out)
{
	size_t want = sizeof(float);
	(void)memory;
	for (size_t i = 0; i < n; i++)
		want *= (size_t)shape[i];
	if (n != 4 || type != 1 || want != len)
		return broken("a tensor of the wrong size");
	struct value *v = calloc(1, sizeof *v);
	v->data = data;
	v->n = len / sizeof(float);
	*out = v;
	return NULL;
}

static void *run(void *session, const void *options, const char *const *in_names,
		 const void *const *in, size_t n_in, const char *const *out_names, size_t n_out,
		 void **out)
{
	const struct session *s = session;
	const struct value *image = in[0], *mask = in[1];
	(void)options;
	if (s->crash)
		abort();
	if (n_in != 2 || n_out != 1 || strcmp(in_names[0], "image") != 0 ||
	    strcmp(in_names[1], "mask") != 0 || strcmp(out_names[0], "output") != 0)
		return broken("other names than those of the model");
	struct value *v = calloc(1, sizeof *v);
	v->n = image->n;
	v->owned = 1;
	v->data = malloc(v->n * sizeof *v->data);
	for (size_t i = 0; i < v->n; i++)
		v->data[i] = s->scale * (mask->data[i % mask->n] > 0.5f ? 1 : image->data[i]);
	*out = v;
	return NULL;
}

static void *create_something(void **out)
{
	*out = malloc(1);
	return NULL;
}

static void *cpu_memory(int allocator, int type, void **out)
{
	return allocator == 1 && type == 0 ? create_something(out) : broken("no such memory");
}

static void *default_allocator(void **out)
{
	static char allocator;
	*out = &allocator;
	return NULL;
}

static void *allocator_free(void *allocator, void *p)
{
	(void)allocator;
	free(p);
	return NULL;
}

static void *tensor_data(void *value, void **out)
{
	*out = ((struct value *)value)->data;
	return NULL;
}

static void *tensor_info(const void *type, const void **out)
{
	*out = type;
	return NULL;
}

static void *dimension_count(const void *info, size_t *n)
{
	(void)info;
	*n = 4;
	return NULL;
}

static void *dimensions(const void *info, int64_t *dims, size_t n)
{
	memcpy(dims, ((const struct type *)info)->dims, n * sizeof *dims);
	return NULL;
}

static void *value_info(const void *value, void **out)
{
	struct type *t = calloc(1, sizeof *t);
	t->dims[0] = (int64_t)((const struct value *)value)->n;
	*out = t;
	return NULL;
}

static void *element_count(const void *info, size_t *n)
{
	*n = (size_t)((const struct type *)info)->dims[0];
	return NULL;
}

static void release(void *p)
{
	free(p);
}

static void release_value(void *p)
{
	struct value *v = p;
	if (v->owned)
		free(v->data);
	free(v);
}

typedef void entry(void);
static entry *table[ENTRIES];

static void fill(void)
{
	static const struct {
		size_t index;
		entry *fn;
	} known[] = {
	    {2, (entry *)error_message},      {3, (entry *)create_env},
	    {7, (entry *)create_session},     {9, (entry *)run},
	    {10, (entry *)create_something},  {24, (entry *)set_threads},
	    {30, (entry *)input_count},	      {31, (entry *)output_count},
	    {33, (entry *)input_type},	      {36, (entry *)input_name},
	    {37, (entry *)output_name},	      {49, (entry *)create_tensor},
	    {51, (entry *)tensor_data},	      {55, (entry *)tensor_info},
	    {61, (entry *)dimension_count},   {62, (entry *)dimensions},
	    {64, (entry *)element_count},     {65, (entry *)value_info},
	    {69, (entry *)cpu_memory},	      {76, (entry *)allocator_free},
	    {78, (entry *)default_allocator}, {92, (entry *)release},
	    {93, (entry *)release},	      {94, (entry *)release},
	    {95, (entry *)release},	      {96, (entry *)release_value},
	    {98, (entry *)release},	      {99, (entry *)release},
	    {100, (entry *)release},
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		table[known[i].index] = known[i].fn;
}

static const void *get_api(uint32_t version)
{
	fill();
	return version <= 20 ? table : NULL;
}

static const char *version_string(void)
{
	return "1.20.99";
}

const void *OrtGetApiBase(void)
{
	static const struct {
		const void *(*get_api)(uint32_t version);
		const char *(*version)(void);
	} base = {get_api, version_string};
	return &base;
}
