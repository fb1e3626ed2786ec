/* log_filter.h - which log lines a sink wants: a least level, and others for single rooms.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_FILTER_H
#define BASE_LOG_FILTER_H

#include "lib/base/log.h"

#define LOG_FILTER_ROOMS 16
#define LOG_FILTER_NAME	 24 /* with '\0' */

struct log_filter {
	enum log_level level;
	struct {
		char name[LOG_FILTER_NAME];
		enum log_level level;
	} rooms[LOG_FILTER_ROOMS];
	size_t n;
};

/* "info" or "info,job=debug,ws=warn", in any order; of two entries for the same the later counts.
 * Without a bare level it is info. On an error *f is untouched. */
int log_filter_parse(struct log_filter *f, const char *spec, struct err *e) MUST_CHECK;
bool log_filter_passes(const struct log_filter *f, const char *category, enum log_level level);

#endif
