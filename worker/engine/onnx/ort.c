/* ort.c - see ort.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/onnx/ort.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

#define API_VERSION  17 /* of ONNX Runtime 1.17; every later library still answers to it */
#define LOG_WARNING  2
#define FLOAT_TENSOR 1
#define ARENA	     1
#define DEFAULT_MEM  0
#define SIDE_IF_OPEN 512
#define SIDE_MAX     4096
#define IMAGE_PLANES 3

/* Everything is an opaque pointer; a status is NULL when all is well. */
struct api {
	const char *(*error_message)(const void *status);
	void *(*create_env)(int level, const char *id, void **out);
	void *(*create_session)(void *env, const char *path, const void *options, void **out);
	void *(*run)(void *session, const void *options, const char *const *in_names,
		     const void *const *in, size_t n_in, const char *const *out_names, size_t n_out,
		     void **out);
	void *(*create_options)(void **out);
	void *(*set_threads)(void *options, int n);
	void *(*input_count)(const void *session, size_t *n);
	void *(*output_count)(const void *session, size_t *n);
	void *(*input_type)(const void *session, size_t i, void **out);
	void *(*input_name)(const void *session, size_t i, void *allocator, char **out);
	void *(*output_name)(const void *session, size_t i, void *allocator, char **out);
	void *(*create_tensor)(const void *memory, void *data, size_t len, const int64_t *shape,
			       size_t n, int type, void **out);
	void *(*tensor_data)(void *value, void **out);
	void *(*tensor_info)(const void *type, const void **out);
	void *(*dimension_count)(const void *info, size_t *n);
	void *(*dimensions)(const void *info, int64_t *dims, size_t n);
	void *(*element_count)(const void *info, size_t *n);
	void *(*value_info)(const void *value, void **out);
	void *(*cpu_memory)(int allocator, int type, void **out);
	void *(*allocator_free)(void *allocator, void *p);
	void *(*default_allocator)(void **out);
	void (*release_env)(void *);
	void (*release_status)(void *);
	void (*release_memory)(void *);
	void (*release_session)(void *);
	void (*release_value)(void *);
	void (*release_type)(void *);
	void (*release_info)(void *);
	void (*release_options)(void *);
};

/* Place in struct api, index in the library's table. */
#define AT(field, index)                                                                           \
	{                                                                                          \
		offsetof(struct api, field), index                                                 \
	}
static const struct {
	size_t offset, index;
} entries[] = {
    AT(error_message, 2),      AT(create_env, 3),
    AT(create_session, 7),     AT(run, 9),
    AT(create_options, 10),    AT(set_threads, 24),
    AT(input_count, 30),       AT(output_count, 31),
    AT(input_type, 33),	       AT(input_name, 36),
    AT(output_name, 37),       AT(create_tensor, 49),
    AT(tensor_data, 51),       AT(tensor_info, 55),
    AT(dimension_count, 61),   AT(dimensions, 62),
    AT(element_count, 64),     AT(value_info, 65),
    AT(cpu_memory, 69),	       AT(allocator_free, 76),
    AT(default_allocator, 78), AT(release_env, 92),
    AT(release_status, 93),    AT(release_memory, 94),
    AT(release_session, 95),   AT(release_value, 96),
    AT(release_type, 98),      AT(release_info, 99),
    AT(release_options, 100),
};

struct api_base { /* OrtApiBase */
	void *const *(*get_api)(uint32_t version);
	const char *(*version)(void);
};

struct ort {
	void *lib, *env;
	const char *version;
	struct api api;
};

struct ort_session {
	struct ort *ort;
	void *session, *memory, *allocator;
	char *output; /* its name */
	int side;
};

/* The status is freed here; its text is the engine's own. */
static int check(const struct ort *o, void *status, const char *what, struct err *e)
{
	if (!status)
		return 0;
	err_set(e, EIO, "ONNX Runtime can't %s: %s", what, o->api.error_message(status));
	o->api.release_status(status);
	return -EIO;
}

static int fill(struct ort *o, struct err *e)
{
	const struct api_base *(*get_base)(void) = NULL;
	*(void **)(void *)&get_base = dlsym(o->lib, "OrtGetApiBase");
	const struct api_base *base = get_base ? get_base() : NULL;
	if (!base)
		return err_set(e, ENOEXEC, "it is no ONNX Runtime library");
	void *const *table = base->get_api(API_VERSION);
	o->version = base->version();
	if (!table)
		return err_set(e, ENOTSUP, "ONNX Runtime %s is too old; install 1.17 or newer",
			       o->version);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		memcpy((char *)&o->api + entries[i].offset, &table[entries[i].index],
		       sizeof table[0]);
	return check(o, o->api.create_env(LOG_WARNING, "studio-worker", &o->env), "start", e);
}

struct ort *ort_open(const char *path, struct err *e)
{
	struct ort *o = xcalloc(1, sizeof *o);
	o->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!o->lib)
		err_set(e, ENOENT, "%s", dlerror());
	if (o->lib && fill(o, e) == 0)
		return o;
	ort_close(o);
	return NULL;
}

/* The library stays loaded: it has threads of its own that outlive a session. */
void ort_close(struct ort *o)
{
	if (o && o->env)
		o->api.release_env(o->env);
	free(o);
}

const char *ort_version(const struct ort *o)
{
	return o->version;
}

/* ---- a model ---- */

static int wrong_shape(const char *input, struct err *e)
{
	return err_set(e, EINVAL,
		       "the model's input '%s' is not what inpainting needs: image [b,3,n,n] and "
		       "mask [b,1,n,n] (LaMa's shape); use another model",
		       input);
}

static int input_shape(struct ort_session *s, size_t i, int64_t dims[4], struct err *e)
{
	const struct api *a = &s->ort->api;
	void *type = NULL;
	const void *info = NULL;
	size_t n = 0;
	int rc = check(s->ort, a->input_type(s->session, i, &type), "read an input's type", e);
	if (rc == 0)
		rc = check(s->ort, a->tensor_info(type, &info), "read an input's type", e);
	if (rc == 0 && info)
		rc = check(s->ort, a->dimension_count(info, &n), "read an input's shape", e);
	if (rc == 0 && info && n == 4)
		rc = check(s->ort, a->dimensions(info, dims, n), "read an input's shape", e);
	else if (rc == 0)
		dims[1] = 0; /* no picture */
	if (type)
		a->release_type(type);
	return rc;
}

/* -1 in a shape: left open by the model. */
static int take_input(struct ort_session *s, size_t i, unsigned *seen, struct err *e)
{
	const struct api *a = &s->ort->api;
	char *name = NULL;
	int64_t dims[4] = {0};
	int rc = check(s->ort, a->input_name(s->session, i, s->allocator, &name),
		       "read an input's name", e);
	if (rc < 0)
		return rc;
	bool image = strcmp(name, "image") == 0, mask = strcmp(name, "mask") == 0;
	rc = input_shape(s, i, dims, e);
	bool fits = (image || mask) && dims[1] == (image ? IMAGE_PLANES : 1) &&
		    dims[2] == dims[3] && dims[2] != 0 && dims[2] <= SIDE_MAX;
	if (rc == 0 && !fits)
		rc = wrong_shape(name, e);
	if (rc == 0 && dims[2] > 0)
		s->side = (int)dims[2];
	*seen |= image ? 1u : 2u;
	(void)check(s->ort, a->allocator_free(s->allocator, name), "free", NULL);
	return rc;
}

static int read_signature(struct ort_session *s, struct err *e)
{
	const struct api *a = &s->ort->api;
	size_t in = 0, out = 0;
	unsigned seen = 0;
	int rc = check(s->ort, a->input_count(s->session, &in), "count inputs", e);
	if (rc == 0)
		rc = check(s->ort, a->output_count(s->session, &out), "count outputs", e);
	for (size_t i = 0; rc == 0 && i < in; i++)
		rc = take_input(s, i, &seen, e);
	if (rc == 0 && (in != 2 || seen != 3 || out < 1))
		rc = wrong_shape("image or mask", e);
	if (rc == 0)
		rc = check(s->ort, a->output_name(s->session, 0, s->allocator, &s->output),
			   "read the output's name", e);
	return rc;
}

static int open_session(struct ort_session *s, const char *model, int threads, struct err *e)
{
	const struct api *a = &s->ort->api;
	void *options = NULL;
	int rc = check(s->ort, a->create_options(&options), "make options", e);
	if (rc == 0)
		rc = check(s->ort, a->set_threads(options, threads), "set its threads", e);
	if (rc == 0)
		rc = check(s->ort, a->create_session(s->ort->env, model, options, &s->session),
			   "load the model", e);
	if (rc == 0)
		rc = check(s->ort, a->default_allocator(&s->allocator), "allocate", e);
	if (rc == 0)
		rc = check(s->ort, a->cpu_memory(ARENA, DEFAULT_MEM, &s->memory), "allocate", e);
	if (options)
		a->release_options(options);
	return rc;
}

struct ort_session *ort_load(struct ort *o, const char *model, int threads, struct err *e)
{
	struct ort_session *s = xcalloc(1, sizeof *s);
	s->ort = o;
	s->side = SIDE_IF_OPEN;
	if (open_session(s, model, threads, e) == 0 && read_signature(s, e) == 0)
		return s;
	ort_unload(s);
	return NULL;
}

void ort_unload(struct ort_session *s)
{
	if (!s)
		return;
	const struct api *a = &s->ort->api;
	if (s->output)
		(void)check(s->ort, a->allocator_free(s->allocator, s->output), "free", NULL);
	if (s->memory)
		a->release_memory(s->memory);
	if (s->session)
		a->release_session(s->session);
	free(s);
}

int ort_side(const struct ort_session *s)
{
	return s->side;
}

/* ---- a run ---- */

static int tensor(struct ort_session *s, const float *data, int planes, void **out, struct err *e)
{
	int64_t shape[] = {1, planes, s->side, s->side};
	size_t len = sizeof *data * (size_t)planes * (size_t)s->side * (size_t)s->side;
	return check(s->ort,
		     s->ort->api.create_tensor(s->memory, (void *)(uintptr_t)data, len, shape,
					       ARRAY_LEN(shape), FLOAT_TENSOR, out),
		     "take the picture", e);
}

static int take_output(struct ort_session *s, void *value, float *out, struct err *e)
{
	const struct api *a = &s->ort->api;
	size_t want = (size_t)IMAGE_PLANES * (size_t)s->side * (size_t)s->side, n = 0;
	void *info = NULL, *data = NULL;
	int rc = check(s->ort, a->value_info(value, &info), "read the result", e);
	if (rc == 0)
		rc = check(s->ort, a->element_count(info, &n), "read the result", e);
	if (rc == 0 && n != want)
		rc = err_set(e, EIO, "the model gave %zu values for a picture of %zu", n, want);
	if (rc == 0)
		rc = check(s->ort, a->tensor_data(value, &data), "read the result", e);
	if (rc == 0)
		memcpy(out, data, want * sizeof *out);
	if (info)
		a->release_info(info);
	return rc;
}

int ort_inpaint(struct ort_session *s, const float *image, const float *mask, float *out,
		struct err *e)
{
	static const char *const names[] = {"image", "mask"};
	const struct api *a = &s->ort->api;
	void *in[2] = {NULL, NULL}, *value = NULL;
	const char *output = s->output;
	int rc = tensor(s, image, IMAGE_PLANES, &in[0], e);
	if (rc == 0)
		rc = tensor(s, mask, 1, &in[1], e);
	if (rc == 0)
		rc = check(
		    s->ort,
		    a->run(s->session, NULL, names, (const void *const *)in, 2, &output, 1, &value),
		    "run the model", e);
	if (rc == 0)
		rc = take_output(s, value, out, e);
	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		if (in[i])
			a->release_value(in[i]);
	if (value)
		a->release_value(value);
	return rc;
}
