#include "actors/receiver/watchdog.hpp"

#include "actors/receiver/dead_letter.hpp"

#include <stargate/registry.hpp>

#include <algorithm>
#include <string>

namespace stargate::internal {

std::chrono::milliseconds look_interval(const receiver& whose) {
  return std::clamp(whose.handler_timeout / 4, std::chrono::milliseconds{5}, std::chrono::milliseconds{1000});
}

caf::error look_after_handler(const tree_context_ptr& tree, const receiver_ptr& receiver, std::size_t processor,
                              handling& in_hand) {
  const auto overdue = in_hand.take_overdue(tree->now());
  if (overdue.empty())
    return {};
  const auto key = receiver->keys.processor(processor);
  const auto why =
    key + ": a handler took longer than handler_timeout, " + std::to_string(receiver->handler_timeout.count())
    + " ms, for "
    + (overdue.size() == 1 ? "message " + overdue.front().id.value : std::to_string(overdue.size()) + " messages");
  tree->say(log_level::error, key, why);
  for (const auto& m : overdue)
    tree->events.tell(
      {.what = event::kind::handler_slow, .key = key, .why = make_error(errc::handler_failed, why), .message = m.id});
  switch (receiver->on_failure) {
    case failure_action::nack:
      for (const auto& message : overdue)
        message.negative_acknowledge();
      break;
    case failure_action::dead_letter:
      for (const auto& message : overdue)
        bury(tree, receiver, message, why);
      break;
    case failure_action::crash:
      // Nothing can end a thread that is stuck: it is left behind, and its successor needs the name.
      post(tree->registry().actor(), unregister_name{key});
      return make_error(errc::handler_failed, why);
  }
  return {};
}

} // namespace stargate::internal
