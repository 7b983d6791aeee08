/// @file
/// How a tree tells its span hook of what it does.
#pragma once

#include "actors/shared/receipt_listener.hpp"
#include "actors/shared/tree_context.hpp"

#include <stargate/message.hpp>
#include <stargate/tracing.hpp>
#include <stargate/tree.hpp>

#include <optional>
#include <vector>

namespace stargate::internal {

/// Begins a span for a message that is to be produced, which gets its context; gives an answer that ends it. Without a
/// hook, it gives `answer`. @par Threads any thread
[[nodiscard]] receipt_listener traced(const tree_context& tree, const topic_name& topic, message& what,
                                      receipt_listener answer);

/// The spans of messages that are handled now, on this thread or by an actor. @par Threads one
class handling_spans {
public:
  handling_spans() = default;
  handling_spans(const handling_spans&) = delete;
  handling_spans& operator=(const handling_spans&) = delete;
  ~handling_spans() { end(make_error(errc::stopping, "who handled it has ended")); }

  void begin(const std::shared_ptr<tree_context>& tree, const std::vector<received_message>& messages);
  void end(const caf::error& failure);
  /// Of the only message; nothing where there are none, or several.
  [[nodiscard]] const trace_context* only() const { return spans_.size() == 1 ? &spans_.front().context : nullptr; }

private:
  std::shared_ptr<tree_context> tree_;
  std::vector<span> spans_;
};

/// While it lives, `current_trace` on this thread is that of the only message in hand.
class trace_in_hand {
public:
  explicit trace_in_hand(const handling_spans& of);
  trace_in_hand(const trace_in_hand&) = delete;
  trace_in_hand& operator=(const trace_in_hand&) = delete;
  ~trace_in_hand();
};

} // namespace stargate::internal
