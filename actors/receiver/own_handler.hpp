/// @file
/// Whether a thread runs a handler of a tree: it must not wait for that tree to stop, which waits for the handler.
#pragma once

#include <utility>

namespace stargate::internal {

class tree_context;

/// Lives on the stack of a processor while its handler runs.
class own_handler {
public:
  explicit own_handler(const tree_context* of) : outer_{std::exchange(running_for_, of)} {}
  own_handler(const own_handler&) = delete;
  own_handler& operator=(const own_handler&) = delete;
  ~own_handler() { running_for_ = outer_; }

  /// Whether this thread runs a handler of the tree.
  [[nodiscard]] static bool is_running(const tree_context* of) { return running_for_ == of; }

private:
  static inline thread_local const tree_context* running_for_ = nullptr;
  const tree_context* const outer_;
};

} // namespace stargate::internal
