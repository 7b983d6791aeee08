/// @file
/// What a receiver's actors send each other, besides what all do (`actors/shared/messages.hpp`).
#pragma once

#include "actors/receiver/handling.hpp"
#include "actors/shared/messages.hpp"
#include "actors/shared/one_answer.hpp"

#include <stargate/caf.hpp>
#include <stargate/handler.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace stargate::internal {

/// A consumer_ack takes up its work: from now on messages may be delivered.
struct acknowledger_up {
  caf::actor who;
};
/// A processor can take so many messages more.
struct ask {
  caf::actor processor;
  std::size_t demand;
  std::size_t index = 0;             ///< Of the processor.
  std::shared_ptr<handling> in_hand; ///< What it is doing, to be looked at by who watches over its time.
};
struct raw_message {
  std::uint64_t sequence; ///< Counts the messages of the connection, from 1.
  std::string frame;
};
struct deliver {
  std::shared_ptr<const delivery> origin;
  std::vector<raw_message> messages;
  std::weak_ptr<connection::link> by{}; ///< The connection itself.
};
struct settled {
  std::uint64_t sequence;
  message_id id;
  disposition what;
};
struct settle {
  std::uint64_t connection;
  std::vector<settled> messages;
};

/// A message that was kept with `continue_` will be settled by the tree itself: who drains waits for it.
struct will_settle {
  std::uint64_t connection;
  std::uint64_t sequence;
};

/// Everything that a connection delivered up to a message is acknowledged.
struct settle_up_to {
  std::uint64_t connection;
  std::uint64_t sequence;
};
/// From a consumer_ack to its dispatcher, in pull mode: so many of the connection's messages are settled.
struct settled_count {
  std::uint64_t connection;
  std::size_t total;
};

/// What is needed of a message to settle it.
[[nodiscard]] inline received_message without_content(const received_message& of) {
  received_message result;
  result.id = of.id;
  result.sequence = of.sequence;
  result.origin = of.origin;
  return result;
}

// -- asking a consumer's or reader's broker ------------------------------------------

struct ask_end_of_topic {
  std::shared_ptr<one_answer<bool>> who;
};
/// Gives up the subscription: answered when the broker was told, true.
struct leave_subscription {
  std::shared_ptr<one_answer<bool>> who;
};

// -- from an actor to itself ---------------------------------------------------------

struct handle_next {};
/// A batch has waited long enough.
struct batch_due {
  std::uint64_t generation;
};
/// The rate allows more now.
struct dispatch_again {};
/// Look whether a handler takes too long.
struct look_after {};
/// Look whether there is somebody for whom the broker is to be asked.
struct look_idle {};

/// The broker has no consumer or reader of this connection any more.
struct receiver_absent {
  std::uint64_t connection;
};

} // namespace stargate::internal

// clang-format off
#define STARGATE_RECEIVER_MESSAGES(X) \
  X(stargate::internal::acknowledger_up) \
  X(stargate::internal::ask) \
  X(stargate::internal::deliver) \
  X(stargate::internal::settle) \
  X(stargate::internal::settle_up_to) \
  X(stargate::internal::will_settle) \
  X(stargate::internal::settled_count) \
  X(stargate::internal::ask_end_of_topic) \
  X(stargate::internal::leave_subscription) \
  X(stargate::internal::handle_next) \
  X(stargate::internal::batch_due) \
  X(stargate::internal::dispatch_again) \
  X(stargate::internal::look_after) \
  X(stargate::internal::look_idle) \
  X(stargate::internal::receiver_absent)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_receiver, type)
STARGATE_BEGIN_TYPES(stargate_receiver, STARGATE_FIRST_TYPE_ID + 180)
STARGATE_RECEIVER_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_receiver)
#undef STARGATE_ID
STARGATE_RECEIVER_MESSAGES(STARGATE_LOCAL_MESSAGE)
