/* exit.h - the exit codes of studio-worker, for service managers and scripts.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

enum exit_code {
	EXIT_OK = 0,	    /* also: another daemon already serves this folder */
	EXIT_FAILED = 1,    /* anything without a code of its own */
	EXIT_USAGE = 2,	    /* the command line makes no sense */
	EXIT_CONFIG = 3,    /* config.toml or identity.json is broken */
	EXIT_NO_DAEMON = 4, /* pause and resume: no daemon runs */
	EXIT_AUTH =
	    5, /* the studio does not accept our token: register again; a restart does not help */
	EXIT_FATAL = 6,	    /* the studio ended us: deleted, or another worker has our id; a restart
			       does not help */
	EXIT_EXHAUSTED = 7, /* ws_reconnect_attempts failed in a row: a restart tries again */
	EXIT_STUDIO_ERROR = 8, /* the studio ended the session with an error of its own, or found
				  one of our frames wrong: a restart tries again */
};

#endif
