/// @file
/// The producer's acknowledger: the actor that owns the ledger of what awaits the broker's receipt.
#pragma once

#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "libstargate/protocol/crypto.hpp"

#include <memory>

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_producer_ack(tree_context_ptr tree, role_keys keys,
                                            std::shared_ptr<const producer_options> options,
                                            std::shared_ptr<const protocol::encryptor> encrypts, caf::actor supervisor);

} // namespace stargate::internal
