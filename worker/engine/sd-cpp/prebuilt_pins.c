/* prebuilt_pins.c - see prebuilt_pins.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/sd-cpp/prebuilt_pins.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

#define BUILD_IT                                                                                   \
	"build stable-diffusion.cpp and put sd-server and sd-cli into <models_root>/bin or "       \
	"~/.local/bin"

/* One row a platform. Hashes are never computed from what was downloaded here.
 *
 * master-920-2f88688, Vulkan and CPU in one (built on Ubuntu 24.04, hence its glibc). The SHA-256
 * stands, the same, in Heretek-AI/homebrew-tap, Formula/stable-diffusion-cpp.rb (version 920), and
 * in two install scripts of other projects that fetch this file. */
static const struct row {
	const char *system, *arch;
	int glibc_major, glibc_minor;
	const char *url, *sha256;
} rows[] = {
    {"Linux", "x86_64", 2, 39,
     "https://github.com/leejet/stable-diffusion.cpp/releases/download/master-920-2f88688/"
     "sd-master-2f88688-bin-Linux-Ubuntu-24.04-x86_64-vulkan.zip",
     "81187de7eef5828816858de076c6d7efe4ee29e1536d22f86338960d5119c574"},
};

/* By distribution: how the Vulkan loader comes. */
static const struct {
	const char *os, *command;
} loaders[] = {
    {"debian", "sudo apt-get install libvulkan1 mesa-vulkan-drivers"},
    {"ubuntu", "sudo apt-get install libvulkan1 mesa-vulkan-drivers"},
    {"fedora", "sudo dnf install vulkan-loader mesa-vulkan-drivers"},
    {"rhel", "sudo dnf install vulkan-loader mesa-vulkan-drivers"},
    {"arch", "sudo pacman -S vulkan-icd-loader"},
    {"suse", "sudo zypper install libvulkan1"},
};

static const char *loader_command(const char *os)
{
	for (size_t i = 0; i < ARRAY_LEN(loaders); i++)
		if (strstr(os, loaders[i].os))
			return loaders[i].command;
	return "install the Vulkan loader, libvulkan.so.1";
}

static const struct row *row_of(const struct machine *m)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].system, m->system) == 0 && strcmp(rows[i].arch, m->arch) == 0)
			return &rows[i];
	return NULL;
}

static bool hash_valid(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return n == SHA256_HEX_LEN - 1;
}

static int runs_here(const struct row *row, const struct machine *m, struct err *e)
{
	if (m->glibc_major < row->glibc_major ||
	    (m->glibc_major == row->glibc_major && m->glibc_minor < row->glibc_minor))
		return err_set(e, ENOTSUP,
			       "the prebuilt sd-server needs glibc %d.%d (Debian 13, "
			       "Ubuntu 24.04 or newer), this machine has %d.%d; %s",
			       row->glibc_major, row->glibc_minor, m->glibc_major, m->glibc_minor,
			       BUILD_IT);
	if (!m->vulkan)
		return err_set(
		    e, ENOTSUP,
		    "the prebuilt sd-server needs the Vulkan loader, which is missing: %s",
		    loader_command(m->os));
	return 0;
}

int pin_choose(struct pin *p, const struct machine *m, const char *url, const char *sha256,
	       struct err *e)
{
	const struct row *row = row_of(m);
	*p = (struct pin){.url = url, .sha256 = sha256, .mirrored = url != NULL};
	if (sha256 && !hash_valid(sha256))
		return err_set(e, EINVAL, "STUDIO_WORKER_SD_CPP_SHA256 must be 64 hex digits");
	if (url && sha256) /* the owner knows what fits */
		return 0;
	if (!row)
		return err_set(
		    e, ENOTSUP,
		    "there is no prebuilt sd-server for %s on %s; %s, or name an archive "
		    "by STUDIO_WORKER_SD_CPP_URL and STUDIO_WORKER_SD_CPP_SHA256",
		    m->system, m->arch, BUILD_IT);
	if (!p->url)
		p->url = row->url;
	if (!p->sha256)
		p->sha256 = row->sha256;
	if (!p->sha256)
		return err_set(e, ENOTSUP,
			       "no SHA-256 of %s is known: set "
			       "STUDIO_WORKER_SD_CPP_SHA256 to the one you trust",
			       p->url);
	return runs_here(row, m, e);
}

static bool can_open(const char *library)
{
	void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
	if (handle)
		dlclose(handle);
	return handle != NULL;
}

/* The values of ID and ID_LIKE, in one text. */
static void look_at_os(char *out, size_t size)
{
	char *text = NULL, *line, *rest;
	size_t used = 0, len;
	out[0] = '\0';
	if (fs_read("/etc/os-release", 64u << 10, &text, &len, NULL))
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		const char *value = strncmp(line, "ID=", 3) == 0	? line + 3
				    : strncmp(line, "ID_LIKE=", 8) == 0 ? line + 8
									: NULL;
		if (!value || used + strlen(value) + 2 > size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s ", value);
	}
	free(text);
}

void machine_look(struct machine *m, struct machine_words *w)
{
	*m = (struct machine){.system = w->name.sysname, .arch = w->name.machine, .os = w->os};
	if (uname(&w->name) < 0)
		m->system = m->arch = "an unknown machine";
	if (sscanf(gnu_get_libc_version(), "%d.%d", &m->glibc_major, &m->glibc_minor) != 2)
		m->glibc_major = m->glibc_minor = 0;
	look_at_os(w->os, sizeof w->os);
	m->vulkan = can_open("libvulkan.so.1");
}
