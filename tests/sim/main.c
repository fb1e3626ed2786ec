/* main.c - sim --seeds A..B, or sim --seed N [--trace] to replay one.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "tests/sim/sim.h"

static struct sim *running; /* for the handler of crashes */

/* A crash of the code under test: say where, then die of it. */
static void on_crash(int sig)
{
	signal(sig, SIG_DFL);
	if (running) {
		printf("seed %" PRIu64 ", step %" PRIu64 ": [crash] signal %d\n", running->seed,
		       running->step, sig);
		sim_trace_print(running);
		fflush(stdout);
	}
	raise(sig);
}

static bool run_seed(uint64_t seed, const char *tmp, bool echo, uint64_t *hash, uint64_t *steps)
{
	struct sim *s = running = sim_new(seed, tmp, echo);
	sim_run(s);
	bool fine = !s->failed;
	if (!fine) {
		printf("the last events:\n");
		sim_trace_print(s);
		printf("%s\nreplay: sim --seed %" PRIu64 " --trace\n", s->verdict, seed);
	}
	*hash = s->hash;
	*steps += s->step;
	running = NULL;
	sim_free(s);
	fflush(stdout);
	return fine;
}

/* Runs it twice: the same seed must give the same events. */
static int replay(uint64_t seed, const char *tmp, bool echo)
{
	uint64_t first, second, steps = 0;
	bool fine = run_seed(seed, tmp, echo, &first, &steps);
	printf("seed %" PRIu64 ": %s, %" PRIu64 " steps, trace %016" PRIx64 "\n", seed,
	       fine ? "fine" : "FAILED", steps, first);
	if (!fine)
		return 1;
	run_seed(seed, tmp, false, &second, &steps);
	if (first == second)
		return 0;
	printf("a second run gave trace %016" PRIx64 ": it does not replay\n", second);
	return 1;
}

static int run_seeds(uint64_t from, uint64_t to, const char *tmp)
{
	uint64_t hash, again, steps = 0, failed = 0, seed = from;
	for (; seed <= to; seed++) {
		bool fine = run_seed(seed, tmp, false, &hash, &steps);
		failed += !fine;
		if (failed >= 5) {
			seed++;
			break;
		}
		if (fine && seed % 100 == 0) {
			run_seed(seed, tmp, false, &again, &steps);
			if (again != hash) {
				printf("seed %" PRIu64 " does not replay\n", seed);
				failed++;
			}
		}
	}
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " failed\n", seed - from, steps,
	       failed);
	return failed ? 1 : 0;
}

static char *temp_folder(void)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
	char *path = xasprintf("%s/sim-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		exit(2);
	}
	return path;
}

static int usage(void)
{
	fputs("usage: sim --seeds A..B | sim --seed N [--trace]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t from, to;
	if (argc < 3)
		return usage();
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	auto_free char *tmp = temp_folder();
	int rc;
	if (!strcmp(argv[1], "--seed"))
		rc = replay(strtoull(argv[2], NULL, 10), tmp,
			    argc > 3 && !strcmp(argv[3], "--trace"));
	else if (!strcmp(argv[1], "--seeds") &&
		 sscanf(argv[2], "%" SCNu64 "..%" SCNu64, &from, &to) == 2)
		rc = run_seeds(from, to, tmp);
	else
		rc = usage();
	fs_remove_tree(tmp, NULL);
	return rc;
}
