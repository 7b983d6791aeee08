/// @file
/// A processor, between a dispatcher and an acknowledger that the test plays both.
#pragma once

#include "actors/receiver/processor.hpp"
#include "test/actor_fixture.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stargate::test {

struct processor_fixture : actor_fixture {
  std::shared_ptr<const delivery> origin;

  void begin(handler_factory handler, std::size_t max_demand = 4, std::size_t min_demand = 2,
             const std::function<void(consumer_options&)>& change = {}) {
    consumer_options o{.topic = {.topic = "x"},
                       .subscription = "s",
                       .handler = std::move(handler),
                       .max_demand = max_demand,
                       .min_demand = min_demand,
                       .run_on = run_on::scheduler};
    if (change)
      change(o);
    const internal::role_keys keys{internal::role::consumer, o.topic, o.subscription};
    play(keys.dispatcher());
    origin = std::make_shared<const delivery>(delivery{me(), 7, std::make_shared<const topic_name>(o.topic)});
    watch(internal::spawn_processor(tree, std::make_shared<const internal::receiver>(keys, o, nullptr), 0, me()));
  }
  /// @param base64 the payload
  static internal::raw_message raw(std::uint64_t sequence, const std::string& base64) {
    return {sequence, R"({"messageId":"id)" + std::to_string(sequence) + R"(","payload":")" + base64
                        + R"(","publishTime":"2026-01-01T00:00:00Z"})"};
  }
  void give(std::vector<internal::raw_message> messages) {
    compat::post(subject, internal::deliver{origin, std::move(messages)});
    run();
  }
  std::size_t asked() {
    auto a = take<internal::ask>();
    return a ? a->demand : 0;
  }
};

} // namespace stargate::test
