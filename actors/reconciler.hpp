/// @file
/// The reconciler: the actor that brings what runs on topics to what the plan says.
#pragma once

#include "actors/site.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_reconciler(site_ptr tree, caf::actor supervisor);

} // namespace stargate::internal
