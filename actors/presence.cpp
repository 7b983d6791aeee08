#include "actors/presence.hpp"

#include "actors/apart.hpp"
#include "actors/messages.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{5'000};

caf::expected<bool> is_present(const site& tree, const pipeline& p) {
  const auto broker = tree.world->make_admin(tree.description, patience);
  for (const auto& topic : p.topics) {
    auto present = broker.has_consumer(topic, p.name_at_broker);
    if (!present || !*present)
      return present;
  }
  return true;
}

} // namespace

void check_presence(const site_ptr& tree, const pipeline_ptr& pipeline, std::uint64_t connection,
                    const caf::actor& answer_to) {
  run_apart(tree, [=] { post(answer_to, presence_checked{connection, is_present(*tree, *pipeline)}); });
}

} // namespace stargate::internal
