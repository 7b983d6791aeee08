/// @file
/// A consumer or reader behind a WebSocket connection: its queue, permits, refusals, time-outs and dead letters.
#pragma once

#include "box/catalogue.hpp"
#include "box/connection.hpp"
#include "box/settings.hpp"

#include <memory>
#include <string>
#include <vector>

namespace stargate::box {

/// Where a consumer's topics are from.
struct receiver_topics {
  std::vector<std::string> names; ///< As they were named; some may have partitions.
  std::string pattern;            ///< Or a pattern of topics.
};

/// @throws refusal when it cannot be
[[nodiscard]] std::shared_ptr<connection> make_consumer(catalogue& all, const receiver_topics& topics,
                                                        const std::string& subscription, receiver_settings s,
                                                        std::shared_ptr<peer> to);
/// @param from `latest`, `earliest` or an id
[[nodiscard]] std::shared_ptr<connection> make_reader(catalogue& all, const std::string& topic, const std::string& from,
                                                      receiver_settings s, std::shared_ptr<peer> to);

} // namespace stargate::box
