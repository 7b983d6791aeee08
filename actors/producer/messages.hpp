/// @file
/// What a producer's actors are sent, besides what all are (`actors/shared/messages.hpp`).
#pragma once

#include "actors/producer/publication.hpp"
#include "actors/shared/messages.hpp"

#include <stargate/caf.hpp>

#include <vector>

namespace stargate::internal {

/// Accepted by a producer_ack.
struct publications {
  std::vector<publication_ptr> items;
  bool waits_for_room = false;
};

} // namespace stargate::internal

// clang-format off
#define STARGATE_PRODUCER_MESSAGES(X) \
  X(stargate::internal::publications)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_producer, type)
STARGATE_BEGIN_TYPES(stargate_producer, STARGATE_FIRST_TYPE_ID + 170)
STARGATE_PRODUCER_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_producer)
#undef STARGATE_ID
STARGATE_PRODUCER_MESSAGES(STARGATE_LOCAL_MESSAGE)
