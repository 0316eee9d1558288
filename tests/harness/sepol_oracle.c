/*
 * Answers questions about a policy by libsepol, for the tests to compare with.
 *
 * cc -O2 sepol_oracle.c -l:libsepol.a    (the shared library hides what is needed here)
 *
 * usage: sepol_oracle POLICY < questions > answers     (one line each, in order)
 *        sepol_oracle --time N POLICY                  (loads N times, prints microseconds each)
 *
 *   C CONTEXT                  "ok N" (the context's number from 0 on) or "invalid"
 *   D SOURCE TARGET CLASS      allowed auditallow auditdeny (hex) transition member change (contexts or -)
 *   P PROTOCOL PORT            context
 *   N ADDRESS                  context (IPv4 or IPv6)
 *   I NAME                     interface context, packet context
 *   U FSTYPE                   behaviour, context
 *   G FSTYPE CLASS PATH        context
 *   X CASES                    seconds for CASES decisions over the contexts so far (measurement)
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <sepol/policydb/policydb.h>
#include <sepol/policydb/services.h>
#include <sepol/policydb/sidtab.h>
#include <sepol/sepol.h>

static policydb_t policy;
static sidtab_t sids;
static sepol_security_id_t *contexts;
static size_t ncontexts, room;

static void *slurp(const char *name, size_t *len)
{
	FILE *f = fopen(name, "rb");
	if (!f) { perror(name); exit(2); }
	fseek(f, 0, SEEK_END);
	*len = (size_t)ftell(f);
	rewind(f);
	void *data = malloc(*len);
	if (!data || fread(data, 1, *len, f) != *len) { perror(name); exit(2); }
	fclose(f);
	return data;
}

static int load(policydb_t *p, void *data, size_t len)
{
	struct policy_file pf;
	policy_file_init(&pf);
	pf.type = PF_USE_MEMORY;
	pf.data = data;
	pf.len = len;
	return policydb_init(p) || policydb_read(p, &pf, 0);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show(int failed, const sepol_security_id_t *sid, const char *end)
{
	char *text = NULL;
	size_t len;
	if (failed || sepol_sid_to_context(*sid, &text, &len) != 0)
		fputs("-", stdout);
	else
		fputs(text, stdout);
	free(text);
	fputs(end, stdout);
}

int main(int argc, char **argv)
{
	size_t len = 0;
	sepol_debug(0);
	if (argc == 4 && strcmp(argv[1], "--time") == 0) {
		void *data = slurp(argv[3], &len);
		for (int i = 0; i < atoi(argv[2]); i++) {
			double start = now();
			if (load(&policy, data, len)) return 2;
			printf("%.0f\n", (now() - start) * 1e6);
			policydb_destroy(&policy);
		}
		return 0;
	}
	if (argc != 2) return 2;
	void *image = slurp(argv[1], &len);
	if (load(&policy, image, len)) { fprintf(stderr, "cannot load\n"); return 2; }
	if (policydb_load_isids(&policy, &sids)) return 2;
	sepol_set_policydb(&policy);
	sepol_set_sidtab(&sids);

	char *line = NULL;
	size_t size = 0;
	ssize_t got;
	while ((got = getline(&line, &size, stdin)) > 0) {
		if (line[got - 1] == '\n') line[--got] = 0;
		char *rest = line + 2;
		sepol_security_id_t sid = 0, second = 0;
		unsigned a, b, c;
		char one[256], two[4096];
		switch (line[0]) {
		case 'C':
			if (sepol_context_to_sid(rest, strlen(rest) + 1, &sid) != 0) { puts("invalid"); break; }
			if (ncontexts == room) {
				room = room ? room * 2 : 64;
				contexts = realloc(contexts, room * sizeof *contexts);
			}
			contexts[ncontexts] = sid;
			printf("ok %zu\n", ncontexts++);
			break;
		case 'D': {
			struct sepol_av_decision avd;
			if (sscanf(rest, "%u %u %u", &a, &b, &c) != 3 || a >= ncontexts || b >= ncontexts) return 2;
			memset(&avd, 0, sizeof avd);
			if (sepol_compute_av(contexts[a], contexts[b], (sepol_security_class_t)c, 0, &avd) != 0) return 2;
			printf("%08x %08x %08x ", avd.allowed, avd.auditallow, avd.auditdeny);
			show(sepol_transition_sid(contexts[a], contexts[b], (sepol_security_class_t)c, &sid), &sid, " ");
			show(sepol_member_sid(contexts[a], contexts[b], (sepol_security_class_t)c, &sid), &sid, " ");
			show(sepol_change_sid(contexts[a], contexts[b], (sepol_security_class_t)c, &sid), &sid, "\n");
			break;
		}
		case 'P':
			if (sscanf(rest, "%u %u", &a, &b) != 2) return 2;
			show(sepol_port_sid(0, 0, (uint8_t)a, (uint16_t)b, &sid), &sid, "\n");
			break;
		case 'N': {
			unsigned char address[16];
			int six = strchr(rest, ':') != NULL;
			if (inet_pton(six ? AF_INET6 : AF_INET, rest, address) != 1) return 2;
			show(sepol_node_sid(six ? AF_INET6 : AF_INET, address, six ? 16 : 4, &sid), &sid, "\n");
			break;
		}
		case 'I':
			a = (unsigned)sepol_netif_sid(rest, &sid, &second);
			show((int)a, &sid, " ");
			show((int)a, &second, "\n");
			break;
		case 'U':
			b = 0;
			a = (unsigned)sepol_fs_use(rest, &b, &sid);
			printf("%u ", a ? 0 : b);
			show((int)a, &sid, "\n");
			break;
		case 'G':
			if (sscanf(rest, "%255s %u %4095s", one, &a, two) != 3) return 2;
			show(sepol_genfs_sid(one, two, (sepol_security_class_t)a, &sid), &sid, "\n");
			break;
		case 'X': {
			struct sepol_av_decision avd;
			unsigned classes = policy.p_classes.nprim, sum = 0, state = 12345;
			a = (unsigned)atoi(rest);
			double start = now();
			for (b = 0; b < a; b++) {
				state = state * 1103515245u + 12345u;
				unsigned s = (state >> 8) % (unsigned)ncontexts;
				state = state * 1103515245u + 12345u;
				unsigned t = (state >> 8) % (unsigned)ncontexts;
				state = state * 1103515245u + 12345u;
				sepol_compute_av(contexts[s], contexts[t], (sepol_security_class_t)(1 + (state >> 8) % classes), 0, &avd);
				sum += avd.allowed;
			}
			printf("%.3f %u\n", now() - start, sum);
			break;
		}
		default:
			return 2;
		}
	}
	return 0;
}
