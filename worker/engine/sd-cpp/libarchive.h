/* libarchive.h - the few functions of libarchive that unpack.c needs, found at run time.
 * SPDX-License-Identifier: MIT */
#ifndef SD_CPP_LIBARCHIVE_H
#define SD_CPP_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "lib/base/err.h"

struct libarchive {
	void *handle;
	__typeof__(&archive_read_new) read_new;
	__typeof__(&archive_read_support_format_zip) format_zip;
	__typeof__(&archive_read_support_format_tar) format_tar;
	__typeof__(&archive_read_support_filter_gzip) filter_gzip;
	__typeof__(&archive_read_support_filter_xz) filter_xz;
	__typeof__(&archive_read_support_filter_zstd) filter_zstd;
	__typeof__(&archive_read_open_filename) open_filename;
	__typeof__(&archive_read_next_header) next_header;
	__typeof__(&archive_read_data) read_data;
	__typeof__(&archive_read_free) read_free;
	__typeof__(&archive_error_string) error_string;
	__typeof__(&archive_entry_pathname) pathname;
	__typeof__(&archive_entry_filetype) filetype;
	__typeof__(&archive_entry_perm) perm;
	__typeof__(&archive_entry_symlink) symlink;
	__typeof__(&archive_entry_hardlink) hardlink;
};
/* -ENOENT with the remedy when it is not installed. */
int libarchive_open(struct libarchive *l, struct err *e) MUST_CHECK;
void libarchive_close(struct libarchive *l);

#endif
