/* What a closure costs a host besides its steps.

   mld-start BUNDLE          opens it once: seconds, MiB before and after
   mld-start BUNDLE CYCLES   opens, uses and closes it again and again; a hundred times on the way it writes
                             how many cycles are done and the MiB of the process. Ends with 1 and a sentence
                             if the memory grew by more than 2 MiB after the first tenth of the cycles.

   A cycle makes every kind of call once, wrong ones among them: what these leave behind counts too. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mld_closure/closure.h"

enum { CELLS = 4, NY = 32, NX = 96 };
static const double LIMIT = 2.0; /* MiB */

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

static void must_be(int expected, int error, const char* call) {
  if (error == expected) return;
  fprintf(stderr, "%s gave %s, not %s: %s\n", call, mld_error_name(error), mld_error_name(expected),
          mld_message());
  exit(1);
}
#define MUST_BE(expected, call) must_be(expected, call, #call)

static void open_it(const char* bundle, mld_closure** closure) {
  mld_options options = MLD_OPTIONS_INIT;
  options.bundle = bundle;
  options.settings = "device = 'cpu'\nthreads = 1\n";
  MUST_BE(MLD_OK, mld_open(&options, closure));
}

static void cycle(const char* bundle) {
  static float patches[CELLS][NY][NX];
  const int64_t ids[CELLS] = {10, 11, 12, 13}, unknown = 7;
  const double dt = 0.3e-9;
  double pressure[CELLS], burned[CELLS], value;
  int64_t status[CELLS];
  mld_input in[] = {{MLD_PRESSURE, MLD_HOST, pressure, 0, 0, 0}};
  mld_output out[] = {{MLD_BURNED_FRACTION, MLD_HOST, burned, 0, 0, 0}, {MLD_STATUS, MLD_HOST, status, 0, 0, 0}};
  mld_options nothing = MLD_OPTIONS_INIT;
  mld_closure *closure = NULL, *stale;

  for (int c = 0; c < CELLS; ++c) {
    pressure[c] = 6e9 + 5e8 * c;
    for (int y = 0; y < NY; ++y)
      for (int x = 0; x < NX; ++x) patches[c][y][x] = (31 * y + 17 * x + 7 * c) % 23 < 2 ? 0.0f : 1.0f;
  }
  nothing.bundle = "/no/bundle";
  MUST_BE(MLD_E_FILE, mld_open(&nothing, &closure));
  open_it(bundle, &closure);
  stale = closure;
  MUST_BE(MLD_OK, mld_register_patches(closure, CELLS, ids, NY, NX, &patches[0][0][0], 0.0, MLD_COPY));
  MUST_BE(MLD_E_ORDER, mld_commit(closure));
  for (int step = 0; step < 2; ++step) {
    MUST_BE(MLD_OK, mld_begin_step(closure, step * dt, dt));
    MUST_BE(MLD_OK, mld_advance(closure, CELLS, ids, in, 1, out, 2));
    MUST_BE(MLD_E_CELLS, mld_advance(closure, 1, &unknown, in, 1, out, 2));
    MUST_BE(MLD_E_ARGUMENT, mld_advance(closure, 1, ids, NULL, 0, NULL, 0));
    if (step == 0) {
      MUST_BE(MLD_OK, mld_rollback(closure));
      MUST_BE(MLD_OK, mld_begin_step(closure, 0.0, dt));
      MUST_BE(MLD_OK, mld_submit(closure, 2, ids, in, 1, out, 2));
      MUST_BE(MLD_OK, mld_submit(closure, 2, ids + 2, in, 1, NULL, 0));
      MUST_BE(MLD_OK, mld_wait(closure));
    }
    MUST_BE(MLD_OK, mld_commit(closure));
  }
  MUST_BE(MLD_OK, mld_dt_max(closure, &value));
  MUST_BE(MLD_OK, mld_counter(closure, "cells.active", &value));
  MUST_BE(MLD_E_ARGUMENT, mld_counter(closure, "no such", &value));
  MUST_BE(MLD_OK, mld_unregister(closure, 1, ids));
  MUST_BE(MLD_OK, mld_close(&closure));
  MUST_BE(MLD_E_HANDLE, mld_commit(stale));
}

static int cycles(const char* bundle, long number) {
  const long warm = (number + 9) / 10;
  double early = 0.0, late;
  long shown = 0;
  for (long done = 1; done <= number; ++done) {
    cycle(bundle);
    if (done == warm) early = resident_mib();
    if (100 * done / number == shown) continue;
    shown = 100 * done / number;
    printf("%ld %.3f\n", done, resident_mib());
    fflush(stdout);
  }
  late = resident_mib();
  if (late - early <= LIMIT) return 0;
  fprintf(stderr, "memory grew by %.1f MiB over cycles %ld to %ld, more than %.0f MiB\n", late - early, warm,
          number, LIMIT);
  return 1;
}

int main(int argc, char** argv) {
  mld_closure* closure = NULL;
  const double before = resident_mib(), begun = now();
  const long number = argc == 3 ? strtol(argv[2], NULL, 10) : 1;
  if (argc < 2 || argc > 3 || number < 1) return fprintf(stderr, "usage: mld-start BUNDLE [CYCLES]\n"), 2;
  if (argc == 3) return cycles(argv[1], number);
  open_it(argv[1], &closure);
  printf("%.4f %.1f %.1f\n", now() - begun, before, resident_mib());
  return mld_close(&closure);
}
