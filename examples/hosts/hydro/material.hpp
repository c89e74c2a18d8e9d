// Equation of state and flux of the hydrocode: Mie-Gruneisen on a Murnaghan isentrope, HLLC with Davis
// speeds. The same material and scheme as mld_closure/dns, see there for sources.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace hydro {

enum Variable { RHO, MOMENTUM_X, MOMENTUM_Y, ENERGY, BURNED, VARIABLES };
using Cell = std::array<double, VARIABLES>;  // conserved, or primitive (rho, u, v, e, lam)

constexpr double rho0 = 1900.0, bulk = 13.3e9, gruneisen = 1.1, T0 = 300.0, c0 = 1000.0, cinf = 2300.0,
                 T1 = 1000.0;
constexpr double rho_void = 1.9, rho_floor = 0.19, c_min = 100.0, heat_of_reaction = 5.5e6;
constexpr int murnaghan = 9;

struct Cold {
  double p, e, c2;  // Pa, J/kg, m2/s2
};

inline Cold cold(double rho) {
  const double x = rho / rho0, x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
  constexpr double n = murnaghan;
  return {bulk / n * (x8 * x - 1.0), bulk / (n * rho0) * (x8 / (n - 1.0) + 1.0 / x - n / (n - 1.0)),
          bulk / rho0 * x8};
}

inline double mie_gruneisen(double rho, double e) {
  const Cold k = cold(rho);
  return k.p + gruneisen * rho * (e - k.e);
}

inline double pressure(double rho, double e) { return std::max(mie_gruneisen(rho, e), 0.0); }

inline double sound_speed(double rho, double e) {
  const Cold k = cold(rho);
  return std::sqrt(std::max(k.c2 + gruneisen * (gruneisen + 1.0) * std::max(e - k.e, 0.0), c_min * c_min));
}

inline double temperature(double rho, double e) {
  const Cold k = cold(rho);
  const bool solid = mie_gruneisen(rho, e) >= 0.0;
  if (!solid && rho < 0.5 * rho0) return T0;
  const double h = std::max(solid ? e - k.e : e, 0.0), b = h - c0 * T1;
  const double rise = (b + std::sqrt(b * b + 4.0 * cinf * h * T1)) / (2.0 * cinf);
  return (solid ? T0 * std::pow(rho / rho0, gruneisen) : T0) + rise;
}

inline double fraction(double lam) { return std::clamp(lam, 0.0, 1.0); }

// Flux of the conserved variables between primitive states; normal: 1 across x, 2 across y.
inline Cell hllc(const Cell& l, const Cell& r, int normal) {
  const int tangent = 3 - normal;
  const double pl = pressure(l[RHO], l[ENERGY]), pr = pressure(r[RHO], r[ENERGY]);
  const double cl = sound_speed(l[RHO], l[ENERGY]), cr = sound_speed(r[RHO], r[ENERGY]);
  const double ul = l[normal], ur = r[normal];
  const double sl = std::min(ul - cl, ur - cr), sr = std::max(ul + cl, ur + cr);
  const double ml = l[RHO] * (sl - ul), mr = r[RHO] * (sr - ur);
  const double jump = (pr - pl - mr * (ur - ul)) / (ml - mr);  // contact speed - ul
  const double s = ul + jump;
  const bool at_left = s >= 0.0;
  const Cell& side = at_left ? l : r;
  const double rho = side[RHO], u = side[normal], v = side[tangent], e = side[ENERGY], p = at_left ? pl : pr;
  const double mass = at_left ? ml : mr, wave = at_left ? sl : sr;
  const double slip = at_left ? jump : jump - (ur - ul);
  const bool past = at_left ? wave < 0.0 : wave > 0.0;
  const double speed = past ? wave : 0.0, q = speed / (wave - s);
  const double f0 = rho * u + q * mass - speed * rho, push = q * slip;
  Cell flux;
  flux[RHO] = f0;
  flux[normal] = f0 * u + p + push * mass;
  flux[tangent] = f0 * v;
  flux[ENERGY] = f0 * (e + 0.5 * (u * u + v * v)) + p * u + push * (mass * s + p);
  flux[BURNED] = f0 * side[BURNED];
  return flux;
}

}  // namespace hydro
