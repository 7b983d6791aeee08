/// @file
/// The messages between the actors of a tree. Who sends what to whom:
///
///     socket ──handshake_wanted──▶ producer_ack, or dispatcher ──▶ consumer_ack: whoever knows what is settled
///     socket ◀─────handshake────── and answers with the path of the handshake, which says where to go on
///
///     caller ──publish──▶ producer_ack ────link::send────▶ event loop ──▶ broker
///     caller ◀──answer─── producer_ack ◀────frames_in───── event loop ◀── broker
///
///     broker ──▶ event loop ──frames_in──▶ dispatcher ──deliver──▶ processor ──settle──▶ consumer_ack
///     broker ◀── event loop ◀────────────────────────────link::send───────────────────── consumer_ack
///                                          dispatcher ◀────ask──── processor
///
/// The socket's actor makes the connection, gives it to its owner by `link_up`, and ends it; what the connection brings
/// before that goes through it (`bypass`). Every message that concerns a connection carries its number; what comes for
/// another one is dropped.
#pragma once

#include "libstargate/connection/transport.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace stargate::internal {

// -- the life of a connection: from the event loop to its socket, and so to the socket's owner -----------------

/// The connection stands: everything that was not answered may be sent again.
struct link_up {
  std::uint64_t connection;
  caf::actor socket{};                    ///< Of the connection; for its owner.
  std::weak_ptr<connection::link> link{}; ///< The connection itself.
};
struct frames_in {
  std::uint64_t connection;
  std::vector<std::string> frames;
};
/// The connection is gone: whatever it was about to bring or take is, too.
struct link_down {
  std::uint64_t connection;
  connection::ended why{};
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
  caf::expected<std::string> path = std::string{};
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

// -- draining ------------------------------------------------------------------------

/// Finish what is in hand, take nothing new, and answer with `drained`.
struct drain {
  caf::actor answer_to;
};
struct drained {
  caf::actor who;
};

// -- from an actor to itself ---------------------------------------------------------

struct reconnect {
  std::uint64_t generation;
};
struct expire {
  std::uint64_t generation;
};
/// Send what has gathered.
struct flush {};

} // namespace stargate::internal

// clang-format off
#define STARGATE_ACTOR_MESSAGES(X) \
  X(stargate::internal::link_up) \
  X(stargate::internal::frames_in) \
  X(stargate::internal::link_down) \
  X(stargate::internal::handshake_wanted) \
  X(stargate::internal::handshake) \
  X(stargate::internal::progress) \
  X(stargate::internal::reset_connection) \
  X(stargate::internal::refuse_connection) \
  X(stargate::internal::fitness_checked) \
  X(stargate::internal::drain) \
  X(stargate::internal::drained) \
  X(stargate::internal::reconnect) \
  X(stargate::internal::expire) \
  X(stargate::internal::flush)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_actors, type)
STARGATE_BEGIN_TYPES(stargate_actors, STARGATE_FIRST_TYPE_ID + 70)
STARGATE_ACTOR_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_actors)
#undef STARGATE_ID
STARGATE_ACTOR_MESSAGES(STARGATE_LOCAL_MESSAGE)
