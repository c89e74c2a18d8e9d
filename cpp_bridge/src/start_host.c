/* Opens a bundle as a hydrocode would, and says what that cost: mld-start BUNDLE -> seconds, MiB before and
 * after. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "mld_closure/closure.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double resident_mib(void) {
  long total = 0, pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
  if (file) fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

int main(int argc, char** argv) {
  mld_options options = MLD_OPTIONS_INIT;
  mld_closure* closure = NULL;
  const double before = resident_mib(), begun = now();
  if (argc != 2) return fprintf(stderr, "usage: mld-start BUNDLE\n"), 2;
  options.bundle = argv[1];
  options.settings = "device = 'cpu'\nthreads = 1\nwarm_start = false\n";
  if (mld_open(&options, &closure)) return fprintf(stderr, "%s\n", mld_message()), 1;
  printf("%.4f %.1f %.1f\n", now() - begun, before, resident_mib());
  return mld_close(&closure);
}
