/// @file
/// What calls on a tree ask first, and what their errors say.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/key.hpp>

#include <string>
#include <string_view>

namespace stargate::internal {

[[nodiscard]] caf::error no_tree();

/// Why this thread cannot wait for something of a tree, if it cannot. @param tree empty for a handle that holds none
[[nodiscard]] caf::error may_not_wait(const tree_context* tree, std::string_view call);

/// For the end of an error: the keys that are nearly the one that nobody has.
[[nodiscard]] std::string what_is_there(const tree_context& tree, const registry_key& wrong);

} // namespace stargate::internal
