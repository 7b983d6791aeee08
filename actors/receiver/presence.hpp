/// @file
/// Whether the broker still has the consumers and readers of a tree whose connections stand. When a topic is deleted, the
/// broker's side of a connection may give its consumer up and say nothing: no frame comes any more, and none fails.
#pragma once

#include "actors/receiver/receiver.hpp"

#include <stargate/caf.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace stargate::internal {

[[nodiscard]] std::string presence_name(const options& o);

[[nodiscard]] caf::actor spawn_presence(tree_context_ptr tree, caf::actor supervisor);

/// From now on the broker is asked for it when nothing comes for long, until what this gives is dropped; and where it has
/// no such consumer or reader, `dispatcher` is sent `receiver_absent`. Null where it is never asked for.
[[nodiscard]] std::shared_ptr<idle_watch::watched> watch_presence(const tree_context_ptr& tree,
                                                                  const receiver_ptr& receiver,
                                                                  std::uint64_t connection,
                                                                  const caf::actor& dispatcher);

} // namespace stargate::internal
