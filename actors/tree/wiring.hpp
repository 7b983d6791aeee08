/// @file
/// The tree, as it is wired: which actor stands under which supervisor, with which strategy.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/supervisor.hpp>

#include <memory>
#include <string>

namespace stargate::internal {

/// Starts the top supervisor of a tree; `parent` is sent `child_started` when the tree stands.
[[nodiscard]] caf::actor spawn_tree(const tree_context_ptr& tree, caf::actor parent);

/// The names of the tree's own actors, which have no topic.
[[nodiscard]] std::string top_name(const options& o);
[[nodiscard]] std::string registry_name(const options& o);
[[nodiscard]] std::string topics_name(const options& o);
[[nodiscard]] std::string reconciler_name(const options& o);

/// A child of the supervisor of all topics: the supervisor of a pipeline, or of an instance of a template.
[[nodiscard]] child_spec spec_of(const tree_context_ptr& tree, const std::shared_ptr<const plan::item>& item);

/// Whether it is a temporary child that was started once. @par Source OTP: such a child is never started again
[[nodiscard]] bool has_had_its_time(const tree_context& tree, const std::shared_ptr<const plan::item>& item);

} // namespace stargate::internal
