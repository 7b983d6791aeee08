/// @file
/// A world from a seed: a tree on CAF's deterministic scheduler, in virtual time, on a simulated network, before a
/// model of the broker, with an application that produces and handles; and the judge of what they promise.
#pragma once

#include "simulation/coverage.hpp"
#include "simulation/scenario.hpp"

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>

namespace stargate::simulation {

struct verdict {
  std::string violation; ///< Empty when every promise was kept.
  std::uint64_t published = 0, stored = 0, unknown = 0, handled = 0, faults = 0, steps = 0;
  micros lasted = 0;
};

/// Runs a scenario to its end. A violation ends it at once: then this process cannot go on, since what runs in the
/// world cannot be taken apart in the middle. `on_violation` must not return.
class world {
public:
  world(const scenario& s, coverage& covered, std::ostream* trace, void (*on_violation)(const std::string&));
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world();

  verdict run();

private:
  class inside;
  std::unique_ptr<inside> inside_;
};

} // namespace stargate::simulation
