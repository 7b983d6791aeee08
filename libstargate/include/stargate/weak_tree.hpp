/// @file
/// A handle to a tree for those whom the tree itself keeps.
#pragma once

#include <stargate/export.hpp>
#include <stargate/key.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace stargate::internal {
class tree_context;
} // namespace stargate::internal

namespace STARGATE_API stargate {

class tree;

/// What becomes of a message that a handler has seen.
enum class disposition : std::uint8_t {
  ack,       ///< Done: acknowledge it to the broker.
  continue_, ///< Not done: the application acknowledges it later, with `received_message::acknowledge`.
  nack,      ///< Not done: let the broker deliver it again.
};

/// A handle to a tree that does not keep it running: for handlers, which find it in their `handler_context`. A tree keeps
/// its handlers; one that held a `tree` would keep it for ever. @par Threads any thread
class weak_tree {
public:
  weak_tree() = default;
  /// The tree, or an empty handle when the last `tree` has gone.
  [[nodiscard]] tree lock() const;

  /// Produces `out` because of `in`, which is acknowledged when the broker has stored `out`, and negatively
  /// acknowledged when that fails: consume, transform, produce, with nothing lost. For a handler:
  /// `return here.tree.produce_and_ack(m, producer_key(to), {…});`. It waits for no receipt. Messages of one processor
  /// are produced in their order. No more are under way than the broker sends without acknowledgements
  /// (`receiver_queue_size`). A reader's message is not delivered again when it fails; its position stays before it.
  /// @param to the key of a producer of this tree, which is waited for, up to its `send_timeout`, while it is being
  /// restarted, but not on a thread of the scheduler
  /// @return `continue_`
  disposition produce_and_ack(const received_message& in, const registry_key& to, message out) const;

private:
  friend class tree;
  friend class internal::tree_context;
  explicit weak_tree(std::weak_ptr<internal::tree_context> of) : context_{std::move(of)} {}
  std::weak_ptr<internal::tree_context> context_;
};

} // namespace stargate
