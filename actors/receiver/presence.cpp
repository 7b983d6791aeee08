#include "actors/receiver/presence.hpp"

#include "actors/receiver/messages.hpp"
#include "actors/shared/apart.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{5'000};

caf::expected<bool> is_present(const tree_context& tree, const receiver& p) {
  const auto broker = tree.world->make_admin(tree.description, patience);
  for (const auto& topic : p.topics) {
    auto present = broker.has_consumer(topic, p.name_at_broker);
    if (!present || !*present)
      return present;
  }
  return true;
}

} // namespace

void check_presence(const tree_context_ptr& tree, const receiver_ptr& receiver, std::uint64_t connection,
                    const caf::actor& answer_to) {
  run_apart(tree, [=] { post(answer_to, presence_checked{connection, is_present(*tree, *receiver)}); });
}

} // namespace stargate::internal
