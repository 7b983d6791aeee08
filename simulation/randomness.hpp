/// @file
/// Randomness that is the same for the same seed, on any machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace stargate::simulation {

/// One stream of a seed: what one part of the world draws does not disturb the others. (splitmix64)
class randomness {
public:
  randomness(std::uint64_t seed, std::uint64_t stream) : state_{seed * 0x9e3779b97f4a7c15ull + stream} { next(); }

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ull;
    auto z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  /// From 0 to before `n`; 0 for 0.
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least
           + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(std::max<std::int64_t>(0, most - least)) + 1));
  }
  bool chance(double probability) { return static_cast<double>(next() >> 11) / 9007199254740992.0 < probability; }
  template <class Range>
  auto& pick(Range&& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }

private:
  std::uint64_t state_;
};

} // namespace stargate::simulation
