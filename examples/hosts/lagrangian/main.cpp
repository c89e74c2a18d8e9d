// A porous slab thrown at a wall in a Lagrangian hydrocode, whose cells are the closure's material points.
//
//     mpiexec -n 2 lagrangian bundle=curves out=cells.txt patches=12 piston_speed=1000 end_time=24e-9
//
// The slab is a row of patches, cut from an image of its microstructure with the halo that the bundle wants;
// the column parts of a patch, 8 of them in the tests, are the cells. A cell gives its pressure and the
// entropy of its solid, and what the closure says has burned releases its heat in it. Next to a wall a
// captured shock leaves too much heat, so the first two cells give the entropy of the third.
//
// Operator split: inert flow over dt; the closure over the same dt at the pressure reached; then the share of
// the unburned material that the closure names burns at constant volume. A step longer than the closure's
// dt_max is rolled back on both sides and repeated with a smaller one.
#include <mpi.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <mld_closure/closure.hpp>
#include <numeric>

#include "slab.hpp"

namespace {

using lagrangian::Cell;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRoundOff = 1e-9, kBurnedOut = 0.999, kSafety = 0.8, kSmallest = 0.02;
constexpr int kWallCells = 2;

struct Case {
  std::string bundle, out, settings;
  double patches = 12, ny = 16, nx = 40;  // patches, and pixels of one with its halo
  double piston_speed = 1000.0, end_time = 24e-9;
};

Case read_case(int argc, char** argv) {
  Case c;
  const std::map<std::string, std::string*> words = {
      {"bundle", &c.bundle}, {"out", &c.out}, {"settings", &c.settings}};
  const std::map<std::string, double*> numbers = {{"patches", &c.patches},
                                                  {"ny", &c.ny},
                                                  {"nx", &c.nx},
                                                  {"piston_speed", &c.piston_speed},
                                                  {"end_time", &c.end_time}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (equals != std::string::npos && words.count(key))
      *words.at(key) = word.substr(equals + 1);
    else if (equals != std::string::npos && numbers.count(key))
      *numbers.at(key) = std::stod(word.substr(equals + 1));
    else
      throw std::runtime_error("unknown argument " + word);
  }
  return c;
}

// Pores of 3 x 3 pixels here and there, more of them in one patch than in the next.
float solid(int y, int x, int patch) {
  return (31 * (y / 3) + 17 * (x / 3)) % 23 < 2 + patch % 3 ? 0.0f : 1.0f;
}

class Host {
 public:
  Host(const Case& c, MPI_Comm comm) : case_(c), comm_(comm) {
    const int ny = static_cast<int>(c.ny), nx = static_cast<int>(c.nx), patches = static_cast<int>(c.patches);
    mld::Options options(c.bundle);
    options.settings =
        "engine.patch_shape = [" + std::to_string(ny) + ", " + std::to_string(nx) + "]\n" + c.settings;
    int rank, size;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    options.has_comm = size > 1;
    options.comm = MPI_Comm_c2f(comm);
    closure_ = mld::Closure(options);
    if (closure_.fact("points") != 1.0) throw std::runtime_error("this bundle has no burn curves");

    const int halo = static_cast<int>(closure_.fact("patch.halo"));
    const int parts = static_cast<int>(closure_.fact("patch.parts"));
    const int own = nx - halo, width = patches * own + halo, cells = patches * parts;
    const double pixel = closure_.fact("pixel");
    std::vector<float> image;  // the halo of the first patch stands before the wall
    std::vector<double> density(cells);
    for (int y = 0; y < ny; ++y)
      for (int x = 0; x < width; ++x) {
        const int patch = std::max(x - halo, 0) / own;
        image.push_back(solid(y, x, patch));
        if (x >= halo)
          for (int k = 0; k < parts; ++k) density[patch * parts + k] += image.back();
      }
    for (double& rho : density) rho *= lagrangian::rho0 / (ny * own);  // from the solid pixels of the patch

    const int first = cells * rank / size, count = cells * (rank + 1) / size - first;
    if (cells / size <= kWallCells)
      throw std::runtime_error("fewer than three cells a rank: use fewer ranks");
    std::vector<double> offsets;
    std::vector<std::int32_t> part;
    for (int i = first; i < first + count; ++i) {
      ids_.push_back(i);
      part.push_back(i % parts);
      offsets.insert(offsets.end(), {i / parts * own * pixel, 0.0});  // one for all points of a patch
    }
    closure_.register_image(ids_, ny, width, image, pixel, offsets, MLD_COPY, part);
    slab_ = lagrangian::Slab(comm, density, first, count, own * pixel / parts, c.piston_speed);
    at_wall_ = rank == 0 ? kWallCells : 0;
    for (auto* array : {&burned_, &fraction_, &rate_, &entropy_, &speed_}) array->assign(count, 0.0);
  }

  void run() {
    while (case_.end_time - time_ > kRoundOff * case_.end_time) step(case_.end_time - time_);
  }

  // One line a cell on rank 0: id, density, energy, burned mass fraction, entropy, pressure, velocity, and
  // the burned fraction and burn rate that the closure gave last. Returns the mean burned fraction there.
  double write() const;

  int steps() const { return steps_; }
  int rejected() const { return rejected_; }

 private:
  void step(double limit) {
    double dt = std::min({slab_.next_step(), limit, dt_limit_});
    const double least = kSmallest * dt;
    for (slab_.move(dt); !burn(dt, least, dt_limit_); slab_.move(dt)) {
      ++rejected_;
      dt = std::max(std::min(kSafety * closure_.dt_max(), 0.5 * dt), least);
    }
    slab_.accept();
    time_ += dt;
    ++steps_;
  }

  // Closure and heat of one step. False where it went too far: then the closure is rolled back, and the slab
  // is moved anew. limit: of the next step.
  bool burn(double dt, double least, double& limit) {
    const std::vector<Cell>& cells = slab_.end();
    const int n = static_cast<int>(cells.size());
    for (int i = 0; i < n; ++i) {
      entropy_[i] = cells[i < at_wall_ ? at_wall_ : i].A;
      speed_[i] = std::abs(slab_.end_velocity(i) + case_.piston_speed);
    }
    const mld::Span<const double> pressure(&cells[0].p, n, sizeof(Cell));  // as it lies
    using Q = mld::Quantity;
    closure_.begin_step(time_, dt);
    closure_.advance(ids_, {{Q::pressure, pressure}, {Q::velocity, speed_}, {Q::entropy, entropy_}},
                     {{Q::burned_fraction, fraction_}, {Q::burn_rate, rate_}});
    const double allowed = closure_.dt_max();
    const bool too_far = dt > allowed * (1.0 + kRoundOff);
    if (too_far && dt > least * (1.0 + kRoundOff)) {
      closure_.rollback();
      return false;
    }
    closure_.commit();
    for (int i = 0; i < n; ++i) {
      const double left = 1.0 - burned_[i];
      double share = std::min(std::max(fraction_[i] - burned_[i], 0.0) / (left > 0.0 ? left : 1.0), 1.0);
      if (fraction_[i] >= kBurnedOut) share = 1.0;
      slab_.burn(i, share);
      burned_[i] = std::max(fraction_[i], burned_[i]);
    }
    limit = too_far ? kInfinity : kSafety * allowed;
    return true;
  }

  Case case_;
  MPI_Comm comm_;
  mld::Closure closure_;
  lagrangian::Slab slab_;
  int at_wall_ = 0, steps_ = 0, rejected_ = 0;
  double time_ = 0.0, dt_limit_ = kInfinity;
  std::vector<std::int64_t> ids_;
  std::vector<double> burned_, fraction_, rate_, entropy_, speed_;
};

double Host::write() const {
  constexpr std::size_t width = 9;
  std::vector<double> mine;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const Cell& cell = slab_.end()[i];
    mine.insert(mine.end(), {static_cast<double>(ids_[i]), cell.rho, cell.e, cell.lam, cell.A, cell.p,
                             slab_.end_velocity(static_cast<int>(i)), burned_[i], rate_[i]});
  }
  int rank, size, count = static_cast<int>(mine.size());
  MPI_Comm_rank(comm_, &rank);
  MPI_Comm_size(comm_, &size);
  std::vector<int> counts(size), starts(size);
  MPI_Gather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, comm_);
  std::partial_sum(counts.begin(), counts.end() - 1, starts.begin() + 1);
  std::vector<double> all(rank == 0 ? starts.back() + counts.back() : 0);
  MPI_Gatherv(mine.data(), count, MPI_DOUBLE, all.data(), counts.data(), starts.data(), MPI_DOUBLE, 0, comm_);
  double sum = 0.0;
  for (std::size_t k = 0; k < all.size(); k += width) sum += all[k + 7];
  if (!case_.out.empty() && rank == 0) {
    std::ofstream file(case_.out);
    file.precision(17);
    for (std::size_t k = 0; k < all.size(); ++k) file << all[k] << ((k + 1) % width ? ' ' : '\n');
  }
  return all.empty() ? 0.0 : sum / (static_cast<double>(all.size()) / width);
}

}  // namespace

int main(int argc, char** argv) {
  int provided, rank, failed = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  try {
    Host host(read_case(argc, argv), MPI_COMM_WORLD);
    host.run();
    const double mean = host.write();
    if (rank == 0) {
      std::printf("%d steps, %d rejected, mean burned fraction %.15e\n", host.steps(), host.rejected(), mean);
      failed = !(mean > 0.0 && mean <= 1.0);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return failed;
}
