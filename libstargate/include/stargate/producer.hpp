/// @file
/// Producing from within actors: what a producer's actor answers. It is found under `producer_key(topic)`, by
/// `tree::whereis` or in the tree's registry, and each time anew: a restarted one has another handle.
///
///     request(self, tree.whereis(producer_key(topic)), 10s, publish{{.payload = "…"}})
///       .then([](const message_id& stored) {…}, [](const caf::error& why) {…});
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>
#include <stargate/message.hpp>

#include <cstddef>
#include <vector>

namespace STARGATE_API stargate {

/// Produces a message; answered with its `message_id` when the broker has stored it.
/// @par Errors as `tree::produce`: errc::queue_full when `max_pending` messages await their receipts, unless there is
/// room that was asked for; errc::not_sent, errc::outcome_unknown, errc::rejected and others from the broker's answer
/// or its absence; `caf::sec::request_receiver_down` when the actor asked has ended before it took the message, which
/// is then not stored. Whoever sends it without a request gets the answer as a message of its own with CAF 0.17, and
/// none with 1.x.
struct publish {
  message content; ///< What to produce.
};
/// Produces messages in order; answered with `published` when there is an answer for each. @par Errors none
struct publish_all {
  std::vector<message> contents; ///< What to produce, in order.
};
/// The answers to `publish_all`, in the order of the messages.
struct published {
  std::vector<caf::expected<message_id>> answers; ///< One for each message.
};

/// Asks for room for messages: answered with `room` when there is some, be it for fewer. As many `publish` of whoever
/// asked are then taken for sure, without errc::queue_full. Room that is not used is kept until whoever asked ends, or
/// the producer is restarted.
/// @par Errors errc::stopping when the producer's acknowledger ends before there is room
/// @par Source GenStage's demand, asked for by the one that produces
struct wait_for_room {
  std::size_t messages = 1; ///< At most; at least one.
};
/// The answer to `wait_for_room`: so many messages may be produced now.
struct room {
  std::size_t messages = 0; ///< At least one.
};

} // namespace stargate

// clang-format off
#define STARGATE_PRODUCING_MESSAGES(X) \
  X(stargate::publish) \
  X(stargate::publish_all) \
  X(stargate::published) \
  X(stargate::wait_for_room) \
  X(stargate::room) \
  X(stargate::message_id)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_producing, type)
STARGATE_BEGIN_TYPES(stargate_producing, STARGATE_FIRST_TYPE_ID + 220)
STARGATE_PRODUCING_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_producing)
#undef STARGATE_ID
STARGATE_PRODUCING_MESSAGES(STARGATE_LOCAL_MESSAGE)
