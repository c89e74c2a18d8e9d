// A porous slab thrown at a rigid wall, burned by the closure: a small MPI hydrocode in 1-D and 2-D.
//
//     mpiexec -n 2 hydro bundle=hmx-compact out=cells.txt cells=24 rows=1 end_time=8e-9
//
// A cell covers a patch of `patch` pixels, of `pixel` m each: make that the pixel of the bundle.
//
// Operator split: inert flow over dt; the closure over the same dt at the pressure reached; then the share of
// the unburned material that the closure names burns at constant density. A step longer than the closure's
// dt_max is rolled back on both sides and repeated with a smaller one.
#include <mpi.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <mld_closure/closure.hpp>
#include <optional>
#include <string>

#include "flow.hpp"

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRoundOff = 1e-9, kBurnedOut = 0.999, kSafety = 0.8, kSmallest = 0.02, kFasterWaves = 2.0;

struct Case {
  std::string bundle, out, settings;
  int cells = 24, rows = 1, patch = 64;
  double pixel = 50e-9, piston_speed = 900.0, porosity = 0.1, end_time = 40e-9;
  double block[5] = {0.0, 0.0, 0.0, 0.0, 0.0};  // x, y, width, height (m) and porosity of a rectangle

  double cell_size() const { return patch * pixel; }
  double porosity_at(double x, double y) const {
    const bool inside = x >= block[0] && x < block[0] + block[2] && y >= block[1] && y < block[1] + block[3];
    return inside ? block[4] : porosity;
  }
};

Case read_case(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("arguments are key=value, got " + word);
    given[word.substr(0, equals)] = word.substr(equals + 1);
  }
  Case c;
  const std::map<std::string, double*> numbers = {
      {"pixel", &c.pixel},          {"piston_speed", &c.piston_speed}, {"porosity", &c.porosity},
      {"end_time", &c.end_time},    {"block_x", &c.block[0]},          {"block_y", &c.block[1]},
      {"block_width", &c.block[2]}, {"block_height", &c.block[3]},     {"block_porosity", &c.block[4]}};
  for (const auto& [key, value] : given) {
    if (key == "bundle")
      c.bundle = value;
    else if (key == "out")
      c.out = value;
    else if (key == "settings")
      c.settings = value;
    else if (key == "cells")
      c.cells = std::stoi(value);
    else if (key == "rows")
      c.rows = std::stoi(value);
    else if (key == "patch")
      c.patch = std::stoi(value);
    else if (numbers.count(key))
      *numbers.at(key) = std::stod(value);
    else
      throw std::runtime_error("unknown argument " + key);
  }
  return c;
}

class Hydro {
 public:
  Hydro(const Case& c, MPI_Comm comm)
      : case_(c), comm_(comm), flow_(comm, c.cells, c.rows, c.cell_size(), 0.4), n_(flow_.nx() * c.rows) {
    mld::Options options(c.bundle, c.settings);
    int size;
    MPI_Comm_size(comm, &size);
    options.has_comm = size > 1;
    options.comm = MPI_Comm_c2f(comm);
    closure_ = mld::Closure(options);

    std::vector<float> patches;
    for (int j = 0; j < c.rows; ++j)
      for (int i = 0; i < flow_.nx(); ++i) {
        const int id = j * c.cells + flow_.first() + i;
        ids_.push_back(id);
        for (int y = 0; y < c.patch; ++y)
          for (int x = 0; x < c.patch; ++x)
            patches.push_back((31 * y + 17 * x + 7 * id) % 23 < 2 ? 0.0f : 1.0f);
        const double porosity =
            c.porosity_at((flow_.first() + i + 0.5) * c.cell_size(), (j + 0.5) * c.cell_size());
        const double rho = std::max(hydro::rho0 * (1.0 - porosity), hydro::rho_void), u = -c.piston_speed;
        flow_.at(i, j) = {rho, rho * u, 0.0, rho * 0.5 * u * u, 0.0};
      }
    closure_.register_patches(ids_, c.patch, c.patch, patches, c.pixel);
    for (auto* array : {&burned_, &pressure_, &speed_, &fraction_}) array->assign(n_, 0.0);
    for (auto& output : outputs_) output.assign(n_, 0.0);
    status_.assign(n_, 0);
  }

  void run() {
    while (case_.end_time - time_ > kRoundOff * case_.end_time) step(case_.end_time - time_);
    time_ = case_.end_time;
  }

  // One line a cell on rank 0: id, conserved state, temperature, pressure, and everything the closure said
  // last.
  void write() const;

  int steps() const { return steps_; }
  int rejected() const { return rejected_; }
  double mean_burned() const {
    double sum = 0.0;
    for (double F : burned_) sum += F;
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, comm_);
    return sum / (static_cast<double>(case_.cells) * case_.rows);
  }

 private:
  void step(double limit) {
    const auto before = flow_.state();
    const double start = time_;
    double least = 0.0;
    limit = std::min(limit, dt_limit_);
    for (;;) {
      const double dt = flow_.step(limit);
      std::optional<double> shorter;
      if (dt > kFasterWaves * flow_.next_step()) shorter = 0.5 * dt;
      if (!shorter) {
        if (least == 0.0) least = kSmallest * dt;
        shorter = burn(start, dt, least);
      }
      if (!shorter) {
        time_ = start + dt;
        ++steps_;
        return;
      }
      ++rejected_;
      flow_.put_back(before);
      limit = *shorter;
    }
  }

  // Closure and heat of one step; a shorter step to try, the closure rolled back, if it went too far.
  std::optional<double> burn(double start, double dt, double least) {
    const int nx = flow_.nx();
    for (int k = 0; k < n_; ++k) {
      const hydro::Cell W = flow_.primitive(k % nx, k / nx);
      pressure_[k] = hydro::pressure(W[hydro::RHO], W[hydro::ENERGY]);
      speed_[k] = std::hypot(W[hydro::MOMENTUM_X] + case_.piston_speed, W[hydro::MOMENTUM_Y]);
    }
    using Q = mld::Quantity;
    closure_.begin_step(start, dt);
    closure_.advance(ids_, {{Q::pressure, pressure_}, {Q::velocity, speed_}},
                     {{Q::burned_fraction, fraction_},
                      {Q::burn_rate, outputs_[0]},
                      {Q::hotspot_area_fraction, outputs_[1]},
                      {Q::hotspot_area_rate, outputs_[2]},
                      {Q::hotspot_temperature, outputs_[3]},
                      {Q::hotspot_temperature_rate, outputs_[4]},
                      {Q::mean_temperature, outputs_[5]},
                      {Q::mean_pressure, outputs_[6]},
                      {Q::porosity, outputs_[7]},
                      {Q::uncertainty, outputs_[8]},
                      {Q::status, status_}});
    const double allowed = closure_.dt_max();
    const bool too_far = dt > allowed * (1.0 + kRoundOff);
    if (too_far && dt > least * (1.0 + kRoundOff)) {
      closure_.rollback();
      return std::max(std::min(kSafety * allowed, 0.5 * dt), least);
    }
    closure_.commit();
    for (int k = 0; k < n_; ++k) {
      hydro::Cell& U = flow_.at(k % nx, k / nx);
      const double left = 1.0 - burned_[k];
      double share = std::min(std::max(fraction_[k] - burned_[k], 0.0) / (left > 0.0 ? left : 1.0), 1.0);
      if (fraction_[k] >= kBurnedOut) share = 1.0;
      const double gain = U[hydro::RHO] * std::max(1.0 - U[hydro::BURNED] / U[hydro::RHO], 0.0) * share;
      U[hydro::ENERGY] += hydro::heat_of_reaction * gain;
      U[hydro::BURNED] += gain;
      burned_[k] = std::max(fraction_[k], burned_[k]);
    }
    dt_limit_ = too_far ? kInfinity : kSafety * allowed;
    return std::nullopt;
  }

  Case case_;
  MPI_Comm comm_;
  hydro::Flow flow_;
  int n_, steps_ = 0, rejected_ = 0;
  double time_ = 0.0, dt_limit_ = kInfinity;
  mld::Closure closure_;
  std::vector<std::int64_t> ids_, status_;
  std::vector<double> burned_, pressure_, speed_, fraction_;
  std::vector<double> outputs_[9];
};

void Hydro::write() const {
  std::vector<double> mine;
  const int nx = flow_.nx();
  for (int k = 0; k < n_; ++k) {
    const hydro::Cell W = flow_.primitive(k % nx, k / nx);
    mine.push_back(static_cast<double>(ids_[k]));
    const double rho = W[hydro::RHO], e = W[hydro::ENERGY];
    mine.insert(mine.end(), {rho, W[1], W[2], hydro::pressure(rho, e), hydro::temperature(rho, e),
                             hydro::fraction(W[hydro::BURNED]), burned_[k]});
    for (const auto& output : outputs_) mine.push_back(output[k]);
    mine.push_back(static_cast<double>(status_[k]));
  }
  int rank, size, count = static_cast<int>(mine.size());
  MPI_Comm_rank(comm_, &rank);
  MPI_Comm_size(comm_, &size);
  std::vector<int> counts(size), starts(size, 0);
  MPI_Gather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, comm_);
  for (int r = 1; r < size; ++r) starts[r] = starts[r - 1] + counts[r - 1];
  std::vector<double> all(rank == 0 ? starts.back() + counts.back() : 0);
  MPI_Gatherv(mine.data(), count, MPI_DOUBLE, all.data(), counts.data(), starts.data(), MPI_DOUBLE, 0, comm_);
  if (rank != 0 || case_.out.empty()) return;
  std::ofstream file(case_.out);
  file.precision(17);
  const std::size_t width = 8 + std::size(outputs_) + 1;
  for (std::size_t k = 0; k < all.size(); ++k) file << all[k] << ((k + 1) % width ? ' ' : '\n');
}

}  // namespace

int main(int argc, char** argv) {
  int provided, rank, failed = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  try {
    Hydro hydro(read_case(argc, argv), MPI_COMM_WORLD);
    hydro.run();
    hydro.write();
    const double mean = hydro.mean_burned();
    if (rank == 0)
      std::printf("%d steps, %d rejected, mean burned fraction %.15e\n", hydro.steps(), hydro.rejected(),
                  mean);
    failed = !(mean > 0.0 && mean <= 1.0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    failed = 1;
  }
  MPI_Finalize();
  return failed;
}
