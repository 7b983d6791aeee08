/// @file
/// How long to wait before the next attempt to connect.
#pragma once

#include <chrono>
#include <cstdint>

namespace stargate::protocol {

/// The wait before attempt number `attempt` (0 for the first after a failure): `first` doubled `attempt` times, at
/// most `most`, less a random part of up to a half. `random` is from 0 to 1.
[[nodiscard]] std::chrono::milliseconds backoff_delay(std::chrono::milliseconds first, std::chrono::milliseconds most,
                                                      std::uint32_t attempt, double random);

} // namespace stargate::protocol
