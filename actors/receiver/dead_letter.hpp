/// @file
/// What becomes of a message whose handler failed.
#pragma once

#include "actors/receiver/receiver.hpp"

#include <stargate/message.hpp>

#include <string>

namespace stargate::internal {

/// Produces `message` to the pipeline's dead-letter topic, and acknowledges it once it is stored there. While that
/// fails it is not acknowledged: on a consumer it is handed back to the broker, on a reader it is tried again.
/// The copy has the payload, key, properties and event time, and says in `REAL_TOPIC`, `ORIGIN_MESSAGE_ID` and
/// `EXCEPTION` where it comes from and why.
/// @par Threads any thread
/// @par Source the names of the properties are those of Pulsar's own clients
void bury(const tree_context_ptr& tree, const receiver_ptr& receiver, const received_message& message,
          const std::string& why);

} // namespace stargate::internal
