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
  /// Mixed, or the stream of a seed would be that of the next, one draw later.
  randomness(std::uint64_t seed, std::uint64_t stream) : state_{mixed(mixed(seed) + stream)} {}

  std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15ull); }
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
  static std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }

  std::uint64_t state_;
};

} // namespace stargate::simulation
