/// @file
/// The messages between the actors of a tree. Who sends what to whom:
///
///     socket ──handshake_wanted──▶ producer_ack, or dispatcher ──▶ consumer_ack: whoever knows what is settled
///     socket ◀─────handshake────── and answers with the path of the handshake, which says where to go on
///
///     caller ──publish──▶ producer_ack ──transmit──▶ socket ──▶ event loop ──▶ broker
///     caller ◀──answer─── producer_ack ◀─frames_in── socket ◀── event loop ◀── broker
///
///     broker ──▶ event loop ──▶ socket ──frames_in──▶ dispatcher ──deliver──▶ processor ──settle──▶ consumer_ack
///     broker ◀── event loop ◀── socket ◀──────────────────transmit────────────────────────────────── consumer_ack
///                                                     dispatcher ◀───ask──── processor
///
/// Every message that concerns a connection carries its number; what comes for another one is dropped.
#pragma once

#include "actors/handling.hpp"
#include "actors/one_answer.hpp"
#include "actors/publication.hpp"
#include "libstargate/connection/transport.hpp"

#include <stargate/caf.hpp>
#include <stargate/handler.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace stargate::internal {

// -- from the event loop to a socket ---------------------------------------------

struct link_open {
  std::uint64_t connection;
};
struct link_frames {
  std::uint64_t connection;
  std::vector<std::string> frames;
};
struct link_end {
  std::uint64_t connection;
  connection::ended why;
};

// -- between a socket and its owner: the producer_ack or the dispatcher -------------

/// Before each attempt to connect: how does the handshake go? Whatever connection the owner had is over. Owners watch
/// the socket as well, so they learn of the end of a connection also when its socket has no time to tell.
struct handshake_wanted {
  std::uint64_t connection;
  caf::actor socket;
};
/// The path and query of the handshake, from what the owner has settled until now.
struct handshake {
  std::uint64_t connection;
  caf::expected<std::string> path;
};
/// The socket is connected: everything that was not answered may be sent again.
struct socket_up {
  std::uint64_t connection;
  caf::actor socket;
};
/// The connection is gone: whatever it was about to bring or take is, too.
struct socket_down {
  std::uint64_t connection;
};
struct frames_in {
  std::uint64_t connection;
  std::vector<std::string> frames;
};
struct transmit {
  std::uint64_t connection;
  std::vector<connection::frame> frames;
};
/// The connection does what it is for: a receipt came, or a message was handled. Trouble from now on is new trouble.
struct progress {
  std::uint64_t connection;
};
/// Gives up a connection for a new one, and says why.
struct reset_connection {
  std::uint64_t connection;
  caf::error why;
};

/// Gives up a connection for good: something is configured wrongly.
struct refuse_connection {
  std::uint64_t connection;
  caf::error why;
};
/// Whether the broker can do what a pipeline needs of it; empty when it can, or nobody may ask.
struct fitness_checked {
  caf::error why_not;
};

/// Whether the broker still has the consumer or reader of a connection.
struct presence_checked {
  std::uint64_t connection;
  caf::expected<bool> present;
};

// -- producing ---------------------------------------------------------------------

/// Accepted by a producer_ack, and by a producer for its producer_ack.
struct publish {
  std::vector<publication_ptr> items;
  bool waits_for_room = false;
};

// -- receiving ---------------------------------------------------------------------

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

// -- asking a consumer's or reader's broker ------------------------------------------

struct ask_end_of_topic {
  std::shared_ptr<one_answer<bool>> who;
};
/// Gives up the subscription: answered when the broker was told, true.
struct leave_subscription {
  std::shared_ptr<one_answer<bool>> who;
};

// -- draining ------------------------------------------------------------------------

/// Finish what is in hand, take nothing new, and answer with `drained`.
struct drain {
  caf::actor answer_to;
};
struct drained {
  caf::actor who;
};

// -- changing what runs ---------------------------------------------------------------

/// Bring what runs to the plan; answered with `reconciled` when that is done.
struct reconcile {};
struct reconciled {
  std::map<std::string, caf::error> failures; ///< By child: what did not start, and why.
};

// -- from an actor to itself ---------------------------------------------------------

struct reconnect {
  std::uint64_t generation;
};
struct expire {
  std::uint64_t generation;
};
struct handle_next {};
/// A batch has waited long enough.
struct batch_due {
  std::uint64_t generation;
};
/// The rate allows more now.
struct dispatch_again {};
/// Look whether a handler takes too long.
struct look_after {};
/// Look whether nothing has come for long.
struct look_idle {};
/// Send what has gathered.
struct flush {};

} // namespace stargate::internal

// clang-format off
#define STARGATE_ACTOR_MESSAGES(X) \
  X(stargate::internal::link_open) \
  X(stargate::internal::link_frames) \
  X(stargate::internal::link_end) \
  X(stargate::internal::handshake_wanted) \
  X(stargate::internal::handshake) \
  X(stargate::internal::socket_up) \
  X(stargate::internal::socket_down) \
  X(stargate::internal::frames_in) \
  X(stargate::internal::transmit) \
  X(stargate::internal::progress) \
  X(stargate::internal::reset_connection) \
  X(stargate::internal::refuse_connection) \
  X(stargate::internal::fitness_checked) \
  X(stargate::internal::presence_checked) \
  X(stargate::internal::publish) \
  X(stargate::internal::acknowledger_up) \
  X(stargate::internal::ask) \
  X(stargate::internal::deliver) \
  X(stargate::internal::settle) \
  X(stargate::internal::settle_up_to) \
  X(stargate::internal::settled_count) \
  X(stargate::internal::ask_end_of_topic) \
  X(stargate::internal::leave_subscription) \
  X(stargate::internal::batch_due) \
  X(stargate::internal::dispatch_again) \
  X(stargate::internal::look_after) \
  X(stargate::internal::look_idle) \
  X(stargate::internal::drain) \
  X(stargate::internal::drained) \
  X(stargate::internal::reconcile) \
  X(stargate::internal::reconciled) \
  X(stargate::internal::reconnect) \
  X(stargate::internal::expire) \
  X(stargate::internal::handle_next) \
  X(stargate::internal::flush)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_actors, type)
STARGATE_BEGIN_TYPES(stargate_actors, STARGATE_FIRST_TYPE_ID + 70)
STARGATE_ACTOR_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_actors)
#undef STARGATE_ID
STARGATE_ACTOR_MESSAGES(STARGATE_LOCAL_MESSAGE)
