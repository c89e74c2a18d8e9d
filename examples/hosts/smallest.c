/* The smallest host in C: four cells under a constant pressure; smallest BUNDLE */
#include <mld_closure/closure.h>
#include <stdio.h>
#include <stdlib.h>

enum { CELLS = 4, SIZE = 64, STEPS = 12 };

static void must(int error) {
  if (error == MLD_OK) return;
  fprintf(stderr, "%s: %s\n", mld_error_name(error), mld_message());
  exit(1);
}

int main(int argc, char** argv) {
  static float patches[CELLS][SIZE][SIZE]; /* solid fraction: a pore here and there */
  const int64_t ids[CELLS] = {10, 11, 12, 13};
  const double dt = 0.3e-9;
  double pressure[CELLS], burned[CELLS], rate[CELLS], dt_max, mean = 0.0;
  mld_input in[] = {{MLD_PRESSURE, MLD_HOST, pressure, 0, 0, 0}};
  mld_output out[] = {{MLD_BURNED_FRACTION, MLD_HOST, burned, 0, 0, 0}, {MLD_BURN_RATE, MLD_HOST, rate, 0, 0, 0}};
  mld_options options = MLD_OPTIONS_INIT;
  mld_closure* closure = NULL;

  if (argc != 2) return fprintf(stderr, "usage: smallest BUNDLE\n"), 2;
  for (int c = 0; c < CELLS; ++c) {
    pressure[c] = 5e9 + 1e9 * c;
    for (int y = 0; y < SIZE; ++y)
      for (int x = 0; x < SIZE; ++x) patches[c][y][x] = (31 * y + 17 * x + 7 * c) % 23 < 2 ? 0.0f : 1.0f;
  }
  options.bundle = argv[1];
  options.settings = "device = 'cpu'\nthreads = 1\n";
  must(mld_open(&options, &closure));
  must(mld_register_patches(closure, CELLS, ids, SIZE, SIZE, &patches[0][0][0], 0.0, MLD_COPY));
  for (int step = 0; step < STEPS; ++step) {
    must(mld_begin_step(closure, step * dt, dt));
    must(mld_advance(closure, CELLS, ids, in, 1, out, 2));
    must(mld_commit(closure));
  }
  must(mld_dt_max(closure, &dt_max));
  for (int c = 0; c < CELLS; ++c) mean += burned[c] / CELLS;
  printf("mean burned fraction %.15e, longest next step %.3e s\n", mean, dt_max);
  must(mld_close(&closure));
  return mean > 0.0 && mean <= 1.0 ? 0 : 1;
}
