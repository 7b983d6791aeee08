/// @file
/// Who waits until a tree stands.
#pragma once

#include "actors/tree/tree_guard.hpp"

#include <stargate/caf.hpp>

#include <functional>
#include <memory>

namespace stargate::internal {

/// Begins to start a tree, and has `tell` called when it stands or will not, once: with why not, and with the guard.
/// @par Errors as `tree_guard::make`: then `tell` is not called
[[nodiscard]] caf::expected<std::shared_ptr<tree_guard>>
begin_to_start(const tree_context_ptr& context, std::function<void(caf::error, std::shared_ptr<tree_guard>)> tell);

/// To the starter: the tree that it waits for.
struct announced {
  std::shared_ptr<tree_guard> guard;
};

} // namespace stargate::internal

STARGATE_LOCAL_MESSAGE(stargate::internal::announced)
STARGATE_BEGIN_TYPES(stargate_starter, STARGATE_FIRST_TYPE_ID + 250)
STARGATE_TYPE(stargate_starter, stargate::internal::announced)
STARGATE_END_TYPES(stargate_starter)
