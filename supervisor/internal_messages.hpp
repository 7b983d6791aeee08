/// @file
/// What the supervisor actor sends to itself.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/supervisor.hpp>

#include <cstdint>

namespace stargate::internal {

/// The time may be up that a child had to start or to stop.
struct step_timeout {
  std::uint64_t alarm;
};
/// Begins to start the children.
struct start_children {};
/// Tries again to start a child that could not be restarted, behind whatever has come meanwhile.
/// @par Source OTP's `try_again_restart`
struct try_again {
  child_id id;
};
/// The time is up that children had to wait before they are started again.
struct backoff_over {
  std::uint64_t wait;
};
/// Ends the supervisor, which was asked to, behind whatever had come before.
struct leave {};

} // namespace stargate::internal

STARGATE_BEGIN_TYPES(stargate_supervisor_internal, STARGATE_FIRST_TYPE_ID + 50)
STARGATE_TYPE(stargate_supervisor_internal, stargate::internal::step_timeout)
STARGATE_TYPE(stargate_supervisor_internal, stargate::internal::start_children)
STARGATE_TYPE(stargate_supervisor_internal, stargate::internal::try_again)
STARGATE_TYPE(stargate_supervisor_internal, stargate::internal::backoff_over)
STARGATE_TYPE(stargate_supervisor_internal, stargate::internal::leave)
STARGATE_END_TYPES(stargate_supervisor_internal)
STARGATE_LOCAL_MESSAGE(stargate::internal::step_timeout)
STARGATE_LOCAL_MESSAGE(stargate::internal::start_children)
STARGATE_LOCAL_MESSAGE(stargate::internal::try_again)
STARGATE_LOCAL_MESSAGE(stargate::internal::backoff_over)
STARGATE_LOCAL_MESSAGE(stargate::internal::leave)
