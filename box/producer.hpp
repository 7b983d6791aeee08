/// @file
/// A producer behind a WebSocket connection: batches, partitions, numbers, receipts.
#pragma once

#include "box/catalogue.hpp"
#include "box/connection.hpp"
#include "box/settings.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace stargate::box {

/// @throws refusal when it cannot be
[[nodiscard]] std::shared_ptr<connection> make_producer(catalogue& all, const std::string& topic, producer_settings s,
                                                        std::shared_ptr<peer> to);

} // namespace stargate::box
