/// @file
/// The reconciler: the actor that brings what runs on topics to what the plan says.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>

#include <map>
#include <string>

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_reconciler(tree_context_ptr tree, caf::actor supervisor);

/// Bring what runs to the plan; answered with `reconciled` when that is done.
struct reconcile {};
struct reconciled {
  std::map<std::string, caf::error> failures; ///< By child: what did not start, and why.
};

} // namespace stargate::internal

// clang-format off
#define STARGATE_RECONCILER_MESSAGES(X) \
  X(stargate::internal::reconcile) \
  X(stargate::internal::reconciled)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_reconciler, type)
STARGATE_BEGIN_TYPES(stargate_reconciler, STARGATE_FIRST_TYPE_ID + 200)
STARGATE_RECONCILER_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_reconciler)
#undef STARGATE_ID
STARGATE_RECONCILER_MESSAGES(STARGATE_LOCAL_MESSAGE)
