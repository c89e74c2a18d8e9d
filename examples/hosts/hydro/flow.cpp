#include "flow.hpp"

#include <stdexcept>

namespace hydro {
namespace {

Cell to_primitive(const Cell& U) {
  const double rho = U[RHO], u = U[MOMENTUM_X] / rho, v = U[MOMENTUM_Y] / rho;
  return {rho, u, v, std::max(U[ENERGY] / rho - 0.5 * (u * u + v * v), 0.0), U[BURNED] / rho};
}

// Half the limited slope of the middle one of three cells.
Cell half_slope(const Cell& below, const Cell& middle, const Cell& above) {
  Cell h;
  for (int v = 0; v < VARIABLES; ++v) {
    const double a = middle[v] - below[v], b = above[v] - middle[v];
    h[v] = a * b > 0.0 ? a * b / (a + b) : 0.0;
  }
  return h;
}

Cell flux_between(const Cell& before, const Cell& left, const Cell& right, const Cell& after, int normal) {
  const Cell hl = half_slope(before, left, right), hr = half_slope(left, right, after);
  Cell l, r;
  for (int v = 0; v < VARIABLES; ++v) {
    l[v] = left[v] + hl[v];
    r[v] = right[v] - hr[v];
  }
  return hllc(l, r, normal);
}

Cell mirrored(Cell U, int momentum) {
  U[momentum] = -U[momentum];
  return U;
}

}  // namespace

Flow::Flow(MPI_Comm comm, int nx, int ny, double cell_size, double cfl)
    : comm_(comm), ny_(ny), dx_(cell_size), cfl_(cfl) {
  int rank, size;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  first_ = nx * rank / size;
  nx_ = nx * (rank + 1) / size - first_;
  if (nx / size < kGhosts) throw std::runtime_error("fewer than two columns a rank: use fewer ranks");
  left_ = rank > 0 ? rank - 1 : MPI_PROC_NULL;
  right_ = rank + 1 < size ? rank + 1 : MPI_PROC_NULL;
  U_.resize(index(0, ny_ + 2 * kGhosts));
  for (Cell& cell : U_) cell = {rho_void, 0.0, 0.0, 0.0, 0.0};
  V_ = W_ = U_;
}

Cell Flow::primitive(int i, int j) const { return to_primitive(at(i, j)); }

double Flow::next_step() const {
  double fastest = 0.0;
  for (int j = 0; j < ny_; ++j)
    for (int i = 0; i < nx_; ++i) {
      const Cell W = primitive(i, j);
      const double c = sound_speed(W[RHO], W[ENERGY]);
      fastest = std::max(fastest, c + std::max(std::abs(W[MOMENTUM_X]), std::abs(W[MOMENTUM_Y])));
    }
  MPI_Allreduce(MPI_IN_PLACE, &fastest, 1, MPI_DOUBLE, MPI_MAX, comm_);
  return cfl_ * dx_ / fastest;
}

double Flow::step(double limit) {
  const double dt = std::min(next_step(), limit), ratio = dt / dx_;
  fill(U_);
  stage(U_, V_, 0.0, 1.0, ratio);
  fill(V_);
  stage(V_, U_, 0.5, 0.5, ratio);
  return dt;
}

// Columns beyond this rank's: the neighbours' own.
void Flow::exchange(std::vector<Cell>& U) {
  const int count = kGhosts * ny_ * VARIABLES;
  std::vector<Cell> to_left, to_right, from_left(kGhosts * ny_), from_right(kGhosts * ny_);
  for (int j = kGhosts; j < ny_ + kGhosts; ++j)
    for (int g = 0; g < kGhosts; ++g) {
      to_left.push_back(U[index(kGhosts + g, j)]);
      to_right.push_back(U[index(nx_ + g, j)]);
    }
  MPI_Sendrecv(to_left.data(), count, MPI_DOUBLE, left_, 0, from_right.data(), count, MPI_DOUBLE, right_, 0,
               comm_, MPI_STATUS_IGNORE);
  MPI_Sendrecv(to_right.data(), count, MPI_DOUBLE, right_, 1, from_left.data(), count, MPI_DOUBLE, left_, 1,
               comm_, MPI_STATUS_IGNORE);
  for (int j = kGhosts, k = 0; j < ny_ + kGhosts; ++j)
    for (int g = 0; g < kGhosts; ++g, ++k) {
      if (left_ != MPI_PROC_NULL) U[index(g, j)] = from_left[k];
      if (right_ != MPI_PROC_NULL) U[index(nx_ + kGhosts + g, j)] = from_right[k];
    }
}

void Flow::fill(std::vector<Cell>& U) {
  exchange(U);
  for (int j = kGhosts; j < ny_ + kGhosts; ++j)
    for (int g = 0; g < kGhosts; ++g) {
      if (left_ == MPI_PROC_NULL) U[index(1 - g, j)] = mirrored(U[index(2 + g, j)], MOMENTUM_X);
      if (right_ == MPI_PROC_NULL) U[index(nx_ + kGhosts + g, j)] = U[index(nx_ + 1, j)];
    }
  for (int i = 0; i < nx_ + 2 * kGhosts; ++i)
    for (int g = 0; g < kGhosts; ++g) {
      const bool one_row = ny_ == 1;
      U[index(i, 1 - g)] = one_row ? U[index(i, 2)] : mirrored(U[index(i, 2 + g)], MOMENTUM_Y);
      U[index(i, ny_ + 2 + g)] = one_row ? U[index(i, 2)] : mirrored(U[index(i, ny_ + 1 - g)], MOMENTUM_Y);
    }
}

// target = keep target + take (U + dt L(U)) on this rank's cells.
void Flow::stage(std::vector<Cell>& U, std::vector<Cell>& target, double keep, double take, double ratio) {
  for (std::size_t k = 0; k < U.size(); ++k) {
    U[k][RHO] = std::max(U[k][RHO], rho_floor);
    W_[k] = to_primitive(U[k]);
    const double kinetic = 0.5 * (W_[k][1] * W_[k][1] + W_[k][2] * W_[k][2]);
    U[k][ENERGY] = std::max(U[k][ENERGY], U[k][RHO] * kinetic);
  }
  const int row = nx_ + 2 * kGhosts;
  const auto across_x = [&](std::size_t k) {
    return flux_between(W_[k - 1], W_[k], W_[k + 1], W_[k + 2], 1);
  };
  const auto across_y = [&](std::size_t k) {
    return flux_between(W_[k - row], W_[k], W_[k + row], W_[k + 2 * row], 2);
  };
  for (int j = kGhosts; j < ny_ + kGhosts; ++j)
    for (int i = kGhosts; i < nx_ + kGhosts; ++i) {
      const std::size_t k = index(i, j);
      const Cell left = across_x(k - 1), right = across_x(k), below = across_y(k - row), above = across_y(k);
      for (int v = 0; v < VARIABLES; ++v) {
        const double change = (left[v] - right[v]) + (below[v] - above[v]);
        target[k][v] = keep * target[k][v] + take * (U[k][v] + ratio * change);
      }
    }
}

}  // namespace hydro
