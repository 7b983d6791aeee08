/// @file
/// Whose threads are whose.
#pragma once

#include <stargate/caf.hpp>

namespace stargate::internal {

/// Whether this is a thread of the system's scheduler, on which nobody may wait; with CAF 1.x, which hides them, of any
/// system's, while it runs an actor. Exported, since it is what our one library needs of the other.
/// @par Threads any thread
[[nodiscard]] STARGATE_API bool is_scheduler_thread(caf::actor_system& system);

} // namespace stargate::internal
