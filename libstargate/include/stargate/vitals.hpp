/// @file
/// How an actor is doing, as it says itself.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>

#include <cstddef>

namespace STARGATE_API stargate {

/// Asks an actor how it is doing: answered with `vitals`. Every actor of Stargate answers it, in its turn: one that is
/// busy answers late. @par Errors none
struct report_vitals {};

/// The answer to `report_vitals`.
struct vitals {
  std::size_t mailbox = 0;   ///< Messages that wait in its mailbox.
  std::size_t in_flight = 0; ///< What it has taken and not finished: messages without a receipt, or not handled yet.
  std::size_t demand = 0;    ///< Messages that it asked for, or was asked for, and that have not come.
};

/// @par Threads only from within the actor `self`
template <class Self>
[[nodiscard]] vitals vitals_of(Self* self, std::size_t in_flight = 0, std::size_t demand = 0) {
  return {self->mailbox().size(), in_flight, demand};
}

} // namespace stargate

#define STARGATE_VITALS_MESSAGES(X) X(stargate::report_vitals) X(stargate::vitals)
#define STARGATE_ID(type) STARGATE_TYPE(stargate_vitals, type)
STARGATE_BEGIN_TYPES(stargate_vitals, STARGATE_FIRST_TYPE_ID + 150)
STARGATE_VITALS_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_vitals)
#undef STARGATE_ID
STARGATE_VITALS_MESSAGES(STARGATE_LOCAL_MESSAGE)
