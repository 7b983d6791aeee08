/// @file
/// What happens in a tree, for those who want to be told (`tree::subscribe`).
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/export.hpp>
#include <stargate/message.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stargate::internal {
class event_inbox;
} // namespace stargate::internal

namespace STARGATE_API stargate {

/// Something that happened. An actor that subscribed takes it as a message.
struct event {
  /// What happened.
  enum class kind : std::uint8_t {
    connected,      ///< A socket stands; `key` is its key.
    disconnected,   ///< It does not, or no attempt was good, for `why`; it tries again in `next_attempt`.
    refused,        ///< The broker refuses it for good, for `why`.
    restarted,      ///< An actor was started again; `key` is its key.
    gave_up,        ///< A supervisor has given up, for `why`; `key` is its key.
    added,          ///< A producer, consumer or reader runs from now on that was added; `key` is its socket's.
    removed,        ///< It was removed, and has ended.
    drained,        ///< It was drained, and has ended, until it is restarted.
    dead_lettered,  ///< `message` was put on a dead-letter topic; `key` is the consumer's or reader's supervisor.
    handler_failed, ///< A handler failed on `message`, for `why`; `key` is the processor's.
    handler_slow,   ///< A handler has had `message` for longer than `handler_timeout`; `key` is the processor's.
    stopped,        ///< The tree has ended, for `why`; `key` is its name. It is the last.
  };
  kind what = kind::connected;                                ///< What happened.
  std::string key = {};                                       ///< Of whom; see `kind`.
  caf::error why = {};                                        ///< The reason, where there is one.
  std::optional<std::chrono::milliseconds> next_attempt = {}; ///< When a socket tries again.
  message_id message = {};                                    ///< Which message, where it is about one.
  std::chrono::system_clock::time_point at = {};              ///< When it happened.
  std::uint64_t lost = 0; ///< How many events before this one were dropped, since the listener was slow.
};

/// In words, such as `gave up`. @par Threads any thread
[[nodiscard]] std::string_view name_of(event::kind what) noexcept;

/// An event in one line. @par Threads any thread
[[nodiscard]] std::string to_string(const event& e);

/// A listener's place. Copies mean the same; it ends with the tree, with the listener that is an actor, or by `end`.
class subscription {
public:
  subscription() = default;
  /// From now on nothing is told; what the listener has in hand it may finish. @par Threads any thread
  void end() const;

private:
  friend class tree;
  explicit subscription(std::shared_ptr<internal::event_inbox> of) : inbox_{std::move(of)} {}
  std::shared_ptr<internal::event_inbox> inbox_;
};

} // namespace stargate

#define STARGATE_EVENT_MESSAGES(X) X(stargate::event)
#define STARGATE_ID(type) STARGATE_TYPE(stargate_event, type)
STARGATE_BEGIN_TYPES(stargate_event, STARGATE_FIRST_TYPE_ID + 240)
STARGATE_EVENT_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_event)
#undef STARGATE_ID
STARGATE_EVENT_MESSAGES(STARGATE_LOCAL_MESSAGE)
