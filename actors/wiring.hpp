/// @file
/// The tree, as it is wired: which actor stands under which supervisor, with which strategy.
#pragma once

#include "actors/site.hpp"

#include <stargate/supervisor.hpp>

#include <string>
#include <vector>

namespace stargate::internal {

/// Starts the top supervisor of a tree; `parent` is sent `child_started` when the tree stands.
[[nodiscard]] caf::actor spawn_tree(const site_ptr& tree, caf::actor parent);

/// The names of the tree's own actors, which have no topic.
[[nodiscard]] std::string top_name(const options& o);
[[nodiscard]] std::string registry_name(const options& o);
[[nodiscard]] std::string topics_name(const options& o);

/// The keys of all sockets that the description asks for.
[[nodiscard]] std::vector<std::string> socket_keys(const options& o);

} // namespace stargate::internal
