/// @file
/// Whether the broker drops what is sent twice to a topic: what producing effectively once rests on.
#pragma once

#include "actors/site.hpp"

#include <stargate/caf.hpp>
#include <stargate/key.hpp>

namespace stargate::internal {

/// Asks the broker, on a thread of its own, and sends `answer_to` one `deduplication_checked`.
void check_deduplication(const site_ptr& tree, const topic_name& topic, const caf::actor& answer_to);

} // namespace stargate::internal
