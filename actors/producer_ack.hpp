/// @file
/// The producer's acknowledger: the actor that owns the ledger of what awaits the broker's receipt.
#pragma once

#include "actors/publisher_identity.hpp"
#include "actors/roles.hpp"
#include "actors/site.hpp"
#include "libstargate/protocol/crypto.hpp"

#include <memory>

namespace stargate::internal {

/// @param identity for a producer that stores effectively once; empty for others
[[nodiscard]] caf::actor spawn_producer_ack(site_ptr tree, pipeline_keys keys, producer_options options,
                                            std::shared_ptr<const protocol::encryptor> encrypts,
                                            std::shared_ptr<publisher_identity> identity, caf::actor supervisor);

} // namespace stargate::internal
