// A slab of cells that keep their material, thrown at a rigid wall at x = 0: von Neumann and Richtmyer's
// scheme, the work taken from the forces that move the nodes. Each rank has a block of cells and both nodes
// at its ends; what neighbours tell each other is the pressure of one cell.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "mixture.hpp"

namespace lagrangian {

struct Node {
  double x, u;  // m, m/s
};

struct Cell {
  double mass;           // kg/m2
  double rho, e, lam;    // kg/m3, J/kg, burned fraction
  double A;              // J/kg, entropy of the solid
  double early;          // J/kg at rho0, heat released while A is still read from rho and e
  double p, c, q;        // Pa, m/s, viscous pressure in Pa
  double solid_density;  // kg/m3
};

class Slab {
 public:
  Slab() = default;

  // Cells first to first + count of a slab that comes with the speed `thrown`; density (kg/m3) of all its
  // cells, which are dx wide.
  Slab(MPI_Comm comm, const std::vector<double>& density, int first, int count, double dx, double thrown);

  double next_step() const;  // s, the same on all ranks
  void move(double dt);      // from the present state to the end of a step
  void burn(int i,
            double share);  // of what is unburned in cell i, at the end of the step and constant volume
  void accept();            // makes the end of the step the present state

  const std::vector<Cell>& end() const { return cells_end_; }
  double end_velocity(int i) const { return 0.5 * (nodes_end_[i].u + nodes_end_[i + 1].u); }

 private:
  void exchange(std::vector<double>& row) const;
  void close(Cell& cell, int i) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  int left_ = 0, right_ = 0, first_ = 0;  // neighbours, or MPI_PROC_NULL
  std::vector<Node> nodes_, nodes_end_;
  std::vector<Cell> cells_, cells_end_;
  std::vector<double> node_mass_, push_;  // push: p + q of the cells, and of one more at either end
};

}  // namespace lagrangian
