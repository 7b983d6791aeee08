#include "libstargate/protocol/backoff.hpp"

#include <algorithm>

namespace stargate::protocol {

std::chrono::milliseconds backoff_delay(std::chrono::milliseconds first, std::chrono::milliseconds most,
                                        std::uint32_t attempt, double random) {
  auto wait = std::max(first, std::chrono::milliseconds{1});
  for (; attempt > 0 && wait < most; --attempt)
    wait *= 2;
  wait = std::min(wait, std::max(most, std::chrono::milliseconds{1}));
  const auto off = static_cast<std::int64_t>(static_cast<double>(wait.count()) * 0.5 * std::clamp(random, 0.0, 1.0));
  return wait - std::chrono::milliseconds{off};
}

} // namespace stargate::protocol
