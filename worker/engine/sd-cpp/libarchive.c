/* libarchive.c - see libarchive.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/libarchive.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"

#define SONAME "libarchive.so.13" /* of libarchive 3 */

static const struct {
	const char *name;
	size_t at;
} functions[] = {
#define AT(field, name)                                                                            \
	{                                                                                          \
#name, offsetof(struct libarchive, field)                                          \
	}
    AT(read_new, archive_read_new),
    AT(format_zip, archive_read_support_format_zip),
    AT(format_tar, archive_read_support_format_tar),
    AT(filter_gzip, archive_read_support_filter_gzip),
    AT(filter_xz, archive_read_support_filter_xz),
    AT(filter_zstd, archive_read_support_filter_zstd),
    AT(open_filename, archive_read_open_filename),
    AT(next_header, archive_read_next_header),
    AT(read_data, archive_read_data),
    AT(read_free, archive_read_free),
    AT(error_string, archive_error_string),
    AT(pathname, archive_entry_pathname),
    AT(filetype, archive_entry_filetype),
    AT(perm, archive_entry_perm),
    AT(symlink, archive_entry_symlink),
    AT(hardlink, archive_entry_hardlink),
#undef AT
};

int libarchive_open(struct libarchive *l, struct err *e)
{
	*l = (struct libarchive){.handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL)};
	if (!l->handle)
		return err_set(e, ENOENT,
			       "unpacking needs libarchive: sudo apt-get install "
			       "libarchive13 (%s)",
			       SONAME);
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		void *function = dlsym(l->handle, functions[i].name);
		if (!function) {
			libarchive_close(l);
			return err_set(e, ENOSYS, "%s has no %s", SONAME, functions[i].name);
		}
		memcpy((char *)l + functions[i].at, &function, sizeof function);
	}
	return 0;
}

void libarchive_close(struct libarchive *l)
{
	if (l->handle)
		dlclose(l->handle);
	*l = (struct libarchive){0};
}
