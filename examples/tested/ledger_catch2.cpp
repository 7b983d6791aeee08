// No payment is lost when the writer dies, whenever that is: a thousand worlds, each with another order of events.
#define CATCH_CONFIG_MAIN
#include "ledger.hpp"

#include <stargate/testing.hpp>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

namespace {

const stargate::topic_name payments{.topic = "payments"};

} // namespace

TEST_CASE("no payment is lost when the writer dies") {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    stargate::testing::world world{seed};
    ledger written;
    auto who = world.system().spawn<writer>(written);
    const auto tree = world.start(service([&](const stargate::registry&) { return who; }));
    REQUIRE(tree);
    for (int i = 0; i < 10; ++i) {
      world.publish(payments, {.payload = "payment " + std::to_string(i)});
      world.advance(std::chrono::milliseconds{seed * 7 % 60});
      if (i == static_cast<int>(seed % 10)) { // as a supervisor would do it
        caf::anon_send_exit(who, caf::exit_reason::kill);
        who = world.system().spawn<writer>(written);
      }
    }
    INFO("seed " << seed);
    REQUIRE(world.run_until([&] { return world.backlog(payments, "ledger") == 0U; }));
    world.advance(1s); // what is in hand is written
    REQUIRE(written.size() == 10);
  }
}
