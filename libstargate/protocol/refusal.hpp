/// @file
/// What a server says when it refuses a WebSocket handshake. Pulsar's word is in the body of its answer.
#pragma once

#include <stargate/error.hpp>

#include <string>
#include <string_view>

namespace stargate::protocol {

/// The reason in an HTTP answer as it came, from its status line on: that of Jetty's page of errors, or the `reason` of
/// a JSON object. Printable, on one line, of bounded length; empty when there is none. What stands behind the answer's
/// own length is not looked at. @par Threads any thread
[[nodiscard]] std::string reason_in_answer(std::string_view answer);

/// What it is when a broker that gives this reason goes on to refuse until somebody changes something: an incompatible
/// schema, a name it does not take, a position it cannot read (`errc::bad_request`), a terminated topic
/// (`errc::topic_terminated`), a namespace or a topic that is not there (`errc::not_found`). `errc::none` if it may be
/// over by itself. @par Threads any thread
[[nodiscard]] errc permanent_code(std::string_view reason);

} // namespace stargate::protocol
