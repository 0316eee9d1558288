/*
 * Answers by libselinux which context a file should have, for the tests to compare with.
 *
 * cc -O2 selabel_oracle.c -lselinux
 *
 * usage: selabel_oracle FILE_CONTEXTS < questions > answers    (one line each, in order)
 *        selabel_oracle --time FILE_CONTEXTS < questions       (seconds to open, look-ups, seconds for them)
 *
 * A question is a letter (- d l s p c b, or a for any kind), the path, and a NUL. An answer is the context,
 * `<<none>>` where libselinux has none (ENOENT), or `error`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <selinux/label.h>
#include <selinux/selinux.h>

static int quiet(int type, const char *format, ...)
{
	(void)type;
	(void)format;
	return 0;
}

static int mode_of(char letter)
{
	switch (letter) {
	case '-': return S_IFREG;
	case 'd': return S_IFDIR;
	case 'l': return S_IFLNK;
	case 's': return S_IFSOCK;
	case 'p': return S_IFIFO;
	case 'c': return S_IFCHR;
	case 'b': return S_IFBLK;
	default: return 0;
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int timed = argc == 3 && strcmp(argv[1], "--time") == 0;
	if (argc != 2 + timed) return 2;
	selinux_set_callback(SELINUX_CB_LOG, (union selinux_callback){ .func_log = quiet });

	struct selinux_opt option = { .type = SELABEL_OPT_PATH, .value = argv[1 + timed] };
	double start = now();
	struct selabel_handle *handle = selabel_open(SELABEL_CTX_FILE, &option, 1);
	if (!handle) { perror(argv[1 + timed]); return 2; }
	double opened = now() - start;

	char *line = NULL;
	size_t size = 0, count = 0;
	double spent = 0;
	while (getdelim(&line, &size, 0, stdin) > 0) {
		char *context = NULL;
		start = now();
		int failed = selabel_lookup_raw(handle, &context, line + 1, mode_of(line[0]));
		spent += now() - start;
		count++;
		if (!timed) puts(!failed ? context : errno == ENOENT ? "<<none>>" : "error");
		if (!failed) freecon(context);
	}
	if (timed) printf("%.6f %zu %.6f\n", opened, count, spent);
	selabel_close(handle);
	return 0;
}
