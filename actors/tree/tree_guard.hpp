/// @file
/// What stops a tree: with the last handle to it, or with its actor system.
#pragma once

#include "actors/shared/outcome.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/inspection.hpp"
#include "actors/tree/monitoring.hpp"

#include <stargate/caf.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace stargate::internal {

/// What the copies of a `tree` share: the last to go stops the tree. @par Threads any thread
class tree_guard {
public:
  /// Starts a tree's actors and makes their guard, which `stop_all` then knows. Where nobody may wait for the tree to
  /// stop, as on a thread of the scheduler, it stops by itself. `parent` is sent `child_started` when the tree stands.
  /// @par Errors errc::already_registered when a tree of this name runs in the actor system
  [[nodiscard]] static caf::expected<std::shared_ptr<tree_guard>> make(const tree_context_ptr& tree_context,
                                                                       const caf::actor& parent);
  /// Of the tree with this name, while it runs.
  [[nodiscard]] static std::shared_ptr<tree_guard> find(const caf::actor_system& system, std::string_view name);
  tree_guard(tree_context_ptr s, caf::actor top);
  tree_guard(const tree_guard&) = delete;
  tree_guard& operator=(const tree_guard&) = delete;
  ~tree_guard();

  const tree_context_ptr tree_context;
  const caf::actor supervisor;
  std::unique_ptr<internal::monitoring> monitoring; ///< Empty unless `options::monitor` has a port.
  std::unique_ptr<inspection_server> inspection;    ///< Empty unless `options::inspection_socket` is set.

  /// Sees to it, without waiting, that nothing is left of a tree whose supervisor has ended.
  void clean_up();

  /// @par Errors as `tree::stop`
  caf::error stop(std::chrono::milliseconds timeout);

private:
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] bool may_wait() const;
  using ending = std::shared_ptr<outcome<caf::error>>;
  /// Begins to stop, and gives what is set in the end; the same for all who call it.
  ending begin_to_stop(std::chrono::milliseconds timeout, bool nobody_waits);

  std::mutex mutex_;
  ending ending_;      // guarded by mutex_
  bool apart_ = false; // guarded by mutex_; what is left to do goes on by itself
};

} // namespace stargate::internal
