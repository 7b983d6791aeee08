/// @file
/// What is known of a topic's producer without asking its actors.
#pragma once

#include "actors/shared/in_flight_limit.hpp"

#include <stargate/log.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace stargate::internal {

/// What those who hand over messages need to know of a topic's producer.
struct producing {
  producing(std::string topic_, std::chrono::milliseconds timeout, std::size_t max_pending, log_hook log_)
    : topic{std::move(topic_)},
      send_timeout{timeout},
      entrance{max_pending},
      log{std::move(log_)} {}

  const std::string topic;
  const std::chrono::milliseconds send_timeout;
  in_flight_limit entrance;
  const log_hook log;
};

} // namespace stargate::internal
