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

/// The specifications of pipelines, each a supervisor below that of all topics or below an instance.
[[nodiscard]] std::vector<child_spec> specs_of(const site_ptr& tree, const pipelines& p);
/// A supervisor of its own for an instance of a template.
[[nodiscard]] child_spec instance_spec(const site_ptr& tree, const plan::instance& who, const pipelines& p);
[[nodiscard]] std::string instance_name(const plan::instance& who);

} // namespace stargate::internal
