/// @file
/// What the registry actor sends to itself.
#pragma once

#include <stargate/caf.hpp>

#include <cstdint>

namespace stargate::internal {

/// Ends a wait for a name, or for a name's holder to go.
struct give_up_waiting {
  std::uint64_t ticket;
};

} // namespace stargate::internal

STARGATE_BEGIN_TYPES(stargate_registry_internal, STARGATE_FIRST_TYPE_ID + 140)
STARGATE_TYPE(stargate_registry_internal, stargate::internal::give_up_waiting)
STARGATE_END_TYPES(stargate_registry_internal)
STARGATE_LOCAL_MESSAGE(stargate::internal::give_up_waiting)
