#include "actors/receiver/presence.hpp"

#include "actors/receiver/messages.hpp"
#include "actors/shared/apart.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{5'000};

constexpr std::chrono::milliseconds lingering{1'000}; // of whoever asks, for more questions
constexpr std::chrono::milliseconds pace{20};         // of questions: 50 a second

caf::expected<bool> is_present(const admin& broker, const receiver& p) {
  for (const auto& topic : p.topics) {
    auto present = broker.has_consumer(topic, p.name_at_broker);
    if (!present || !*present)
      return present;
  }
  return true;
}

bool is_silence(const caf::error& why) {
  const auto code = code_of(why);
  return code == errc::timed_out || code == errc::connection_failed || code == errc::unresolved_host;
}

} // namespace

void check_presence(const tree_context_ptr& tree, const receiver_ptr& receiver, std::uint64_t connection,
                    const caf::actor& answer_to, errands::turn turn) {
  const bool nobody_asks = tree->errands.add(
    [=](const admin& broker) {
      auto present = is_present(broker, *receiver);
      auto silent = !present && is_silence(present.error()) ? present.error() : caf::error{};
      post(answer_to, presence_checked{connection, std::move(present)});
      return silent;
    },
    [=](const caf::error& why) {
      post(answer_to, presence_checked{connection, why});
    },
    turn);
  if (nobody_asks)
    run_apart(tree, [tree] {
      const bool may_wait = tree->world->has_threads();
      const std::chrono::milliseconds nothing{0};
      tree->errands.run([&] { return tree->world->make_admin(tree->description, patience); },
                        may_wait ? lingering : nothing, may_wait ? pace : nothing);
    });
}

} // namespace stargate::internal
