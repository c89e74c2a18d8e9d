#include "slab.hpp"

#include <limits>
#include <stdexcept>

namespace lagrangian {
namespace {

constexpr double kLinear = 0.3, kQuadratic = 1.4, kCourant = 0.5, kMaxChange = 0.05;

double viscosity(double du, double rho, double c) {
  return du < 0.0 ? rho * (kQuadratic * kQuadratic * du * du - kLinear * c * du) : 0.0;
}

}  // namespace

Slab::Slab(MPI_Comm comm, const std::vector<double>& density, int first, int count, double dx, double thrown)
    : comm_(comm), first_(first), nodes_(count + 1), cells_(count), node_mass_(count + 1), push_(count + 2) {
  int rank, size;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  left_ = rank > 0 ? rank - 1 : MPI_PROC_NULL;
  right_ = rank + 1 < size ? rank + 1 : MPI_PROC_NULL;
  for (int j = 0; j <= count; ++j) nodes_[j] = {(first + j) * dx, first + j > 0 ? -thrown : 0.0};
  std::vector<double> mass(count + 2, 0.0);
  for (int i = 0; i < count; ++i) {
    Cell& cell = cells_[i] = Cell{};
    cell.rho = density[first + i];
    cell.mass = mass[i + 1] = cell.rho * (nodes_[i + 1].x - nodes_[i].x);
    cell.A = entropy(cell.rho, cell.e);
    close(cell, i);
  }
  exchange(mass);
  for (int j = 0; j <= count; ++j) node_mass_[j] = 0.5 * (mass[j] + mass[j + 1]);
  nodes_end_ = nodes_;
  cells_end_ = cells_;
}

double Slab::next_step() const {
  double least = std::numeric_limits<double>::infinity(), squeeze = 1e-30;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    const double du = nodes_[i + 1].u - nodes_[i].u;
    const double spread = du < 0.0 ? kLinear * cell.c + kQuadratic * kQuadratic * std::abs(du) : 0.0;
    least = std::min(least, cell.mass / cell.rho / (cell.c + 2.0 * spread));
    squeeze = std::max(squeeze, -du / (nodes_[i + 1].x - nodes_[i].x));
  }
  double dt = std::min(kCourant * least, kMaxChange / squeeze);
  MPI_Allreduce(MPI_IN_PLACE, &dt, 1, MPI_DOUBLE, MPI_MIN, comm_);
  return dt;
}

// First with the pressure at the beginning of the step, then with the mean of that and the one arrived at.
void Slab::move(double dt) {
  const int n = static_cast<int>(cells_.size());
  for (const bool second : {false, true}) {
    for (int i = 0; i < n; ++i) {
      const Cell& a = cells_[i];
      Cell& b = cells_end_[i];
      double du = nodes_[i + 1].u - nodes_[i].u, rho = a.rho, p = a.p, c = a.c;
      if (second) {
        du = 0.5 * ((nodes_[i + 1].u + nodes_end_[i + 1].u) - (nodes_[i].u + nodes_end_[i].u));
        rho = 0.5 * (a.rho + b.rho);
        p = 0.5 * (a.p + b.p);
        c = 0.5 * (a.c + b.c);
      }
      b.q = viscosity(du, rho, c);
      push_[i + 1] = p + b.q;
    }
    exchange(push_);
    for (int j = 0; j <= n; ++j) {
      const bool wall = j == 0 && left_ == MPI_PROC_NULL;
      const Node& a = nodes_[j];
      const double u = wall ? a.u : a.u + dt * (push_[j] - push_[j + 1]) / node_mass_[j];
      nodes_end_[j] = {a.x + 0.5 * dt * (a.u + u), u};
    }
    for (int i = 0; i < n; ++i) {
      const Cell& a = cells_[i];
      Cell& b = cells_end_[i];
      const double v = (nodes_end_[i + 1].x - nodes_end_[i].x) / a.mass;
      if (!(v > 0.0)) throw std::runtime_error("cell " + std::to_string(first_ + i) + " lost its volume");
      const double stretch =
          0.5 * dt * ((nodes_[i + 1].u + nodes_end_[i + 1].u) - (nodes_[i].u + nodes_end_[i].u)) / a.mass;
      const double q = b.q;
      b = a;
      b.q = q;
      b.rho = 1.0 / v;
      b.e = a.e - push_[i + 1] * stretch;
      b.A = a.lam < kFew ? std::max(entropy(b.rho, b.e) - a.early, 0.0)
                         : a.A + std::max(-q * stretch, 0.0) / std::pow(a.solid_density / rho0, gruneisen);
      close(b, i);
    }
  }
}

void Slab::burn(int i, double share) {
  if (!(share > 0.0)) return;
  Cell& cell = cells_end_[i];
  const double burned = (1.0 - cell.lam) * share, heat = hydro::heat_of_reaction * burned;
  cell.early += heat / std::pow(cell.rho / rho0, gruneisen);
  cell.lam += burned;
  cell.e += heat;
  close(cell, i);
}

void Slab::accept() {
  nodes_.swap(nodes_end_);
  cells_.swap(cells_end_);
  cells_end_ = cells_;  // what is read afterwards is the present
  nodes_end_ = nodes_;
}

// Pressure, sound speed and density of the solid from the rest.
void Slab::close(Cell& cell, int i) const {
  const Mixture m = mixture(cell.rho, cell.e, cell.lam, cell.A);
  if (!(m.solid_density > 0.0) || !std::isfinite(m.p))
    throw std::runtime_error("no pressure equilibrium of solid and products in cell " +
                             std::to_string(first_ + i));
  cell.p = m.p;
  cell.c = m.c;
  cell.solid_density = m.solid_density;
}

// The first and the last number of a row of all cells and one more at either end are those of the neighbours.
void Slab::exchange(std::vector<double>& row) const {
  const std::size_t n = row.size() - 2;
  MPI_Sendrecv(&row[1], 1, MPI_DOUBLE, left_, 0, &row[n + 1], 1, MPI_DOUBLE, right_, 0, comm_,
               MPI_STATUS_IGNORE);
  MPI_Sendrecv(&row[n], 1, MPI_DOUBLE, right_, 1, &row[0], 1, MPI_DOUBLE, left_, 1, comm_, MPI_STATUS_IGNORE);
}

}  // namespace lagrangian
