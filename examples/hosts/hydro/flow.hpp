// Inert flow on this rank's slab of a grid cut along x: MUSCL with van Leer's limiter, HLLC, SSP-RK2, two
// ghost layers, halos exchanged with the neighbours.
#pragma once

#include <mpi.h>

#include <vector>

#include "material.hpp"

namespace hydro {

constexpr int kGhosts = 2;

class Flow {
 public:
  // nx x ny cells of all ranks, mirrors on the left, bottom and top (a single row has none across), open on
  // the right.
  Flow(MPI_Comm comm, int nx, int ny, double cell_size, double cfl);

  int nx() const { return nx_; }        // columns of this rank
  int first() const { return first_; }  // the first of them
  int ny() const { return ny_; }
  double cell_size() const { return dx_; }

  // Conserved state of column i of this rank, row j.
  Cell& at(int i, int j) { return U_[index(i + kGhosts, j + kGhosts)]; }
  const Cell& at(int i, int j) const { return U_[index(i + kGhosts, j + kGhosts)]; }
  Cell primitive(int i, int j) const;

  double next_step() const;   // s, the same on all ranks
  double step(double limit);  // advances, returns the step taken
  std::vector<Cell> state() const { return U_; }
  void put_back(const std::vector<Cell>& state) { U_ = state; }

 private:
  std::size_t index(int i, int j) const { return static_cast<std::size_t>(j) * (nx_ + 2 * kGhosts) + i; }
  void fill(std::vector<Cell>& U);
  void exchange(std::vector<Cell>& U);
  void stage(std::vector<Cell>& U, std::vector<Cell>& target, double keep, double take, double ratio);

  MPI_Comm comm_;
  int left_, right_;  // neighbours, or MPI_PROC_NULL
  int nx_, first_, ny_;
  double dx_, cfl_;
  std::vector<Cell> U_, V_, W_;
};

}  // namespace hydro
