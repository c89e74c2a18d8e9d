// Equation of state of a partly burned cell: cold solid and hot products at one pressure.
//
//     solid on its isentrope   e_s = ec(x_s) + A x_s^G,   p_s = pc(x_s) + G A x_s^G / v_s
//     products hold the rest   v_p = (v - (1 - lam) v_s)/lam,   e_p = (e - (1 - lam) e_s)/lam,
//                              p_p = pc(x_p) + G (e_p - ec(x_p))/v_p
//     v_s from p_s = p_p,      p = max(p_s, 0),   v^2/c^2 = (1 - lam) v_s^2/c_s^2 + lam v_p^2/c_p^2
//
// with v = 1/rho, x = rho/rho0, the burned fraction lam, and the entropy A of the solid (J/kg), which the
// closure is told. Below lam = 0.002 and above 0.998 a cell is one material. See mld_closure/macro/README.md.
#pragma once

#include <cmath>
#include <limits>

#include "../hydro/material.hpp"

namespace lagrangian {

using hydro::cold, hydro::Cold, hydro::c_min, hydro::gruneisen, hydro::rho0;

constexpr double kFew = 0.002, kMost = 0.998;

struct Mixture {
  double p, c;           // Pa, m/s
  double solid_density;  // kg/m3; 0 where there is no equilibrium
};

// A (J/kg) of unburned solid; zero where it is colder than at rest.
inline double entropy(double rho, double e) {
  return std::max((e - cold(rho).e) / std::pow(rho / rho0, gruneisen), 0.0);
}

inline double floored(double c2) { return std::max(c2, c_min * c_min); }

struct Phases {
  double p_s, p_p, c2_s, c2_p, v_p;
};

// Both phases for a trial volume v_s of the solid.
inline Phases phases(double v_s, double v, double e, double lam, double A) {
  constexpr double G = gruneisen;
  const Cold s = cold(1.0 / v_s);
  const double heat_s = A * std::pow(1.0 / (v_s * rho0), G);
  const double v_p = (v - (1.0 - lam) * v_s) / lam, e_p = (e - (1.0 - lam) * (s.e + heat_s)) / lam;
  const Cold p = cold(1.0 / v_p);
  const double heat_p = e_p - p.e;
  return {s.p + G * heat_s / v_s, p.p + G * heat_p / v_p, s.c2 + G * (G + 1.0) * heat_s,
          p.c2 + G * (G + 1.0) * heat_p, v_p};
}

// Newton's method on p_s - p_p, which falls as v_s grows, inside a bracket that bisection narrows.
inline Mixture two_phases(double rho, double e, double lam, double A) {
  const Mixture none = {0.0, 0.0, 0.0};
  const double v = 1.0 / rho, share = (1.0 - lam) / lam;
  double low = 1.0 / (1.9 * rho0), high = v / (1.0 - lam) * (1.0 - 1e-9);
  if (!(low < high)) return none;
  double v_s = std::min(std::max(v, low), high);
  if (!(low < v_s && v_s < high)) v_s = 0.5 * (low + high);
  Phases f = phases(v_s, v, e, lam, A);
  bool found = false;
  for (int round = 0; round < 200; ++round) {
    const double gap = f.p_s - f.p_p;
    if (!std::isfinite(gap)) return none;
    (gap > 0.0 ? low : high) = v_s;
    const double slope = -f.c2_s / (v_s * v_s) - share * (f.c2_p / (f.v_p * f.v_p) + gruneisen * gap / f.v_p);
    const double step = slope < 0.0 ? -gap / slope : 2.0 * (high - low);
    double next = v_s + step;
    found = std::abs(step) <= 1e-13 * v_s;
    if (!found && !(low < next && next < high)) {
      next = 0.5 * (low + high);
      found = next == low || next == high;
    }
    if (found) break;
    v_s = next;
    f = phases(v_s, v, e, lam, A);
  }
  const double stiffness = f.c2_s / (v_s * v_s);
  if (!found || std::abs(f.p_s - f.p_p) > 1e-6 * (stiffness * v_s + std::abs(f.p_s))) return none;
  const double slack = (1.0 - lam) * v_s * v_s / floored(f.c2_s) + lam * f.v_p * f.v_p / floored(f.c2_p);
  return {std::max(f.p_s, 0.0), std::sqrt(floored(v * v / slack)), 1.0 / v_s};
}

inline Mixture mixture(double rho, double e, double lam, double A) {
  if (lam >= kFew && lam <= kMost) return two_phases(rho, e, lam, A);
  return {hydro::pressure(rho, e), hydro::sound_speed(rho, e), rho};
}

}  // namespace lagrangian
