/// @file
/// A tree before which there is no broker.
#pragma once

#include <stargate/stargate.hpp>

#include <chrono>

namespace stargate::test {

using namespace std::chrono_literals;

inline const topic_name orders{.topic = "orders"};

inline options nowhere() {
  options o;
  o.hosts = {{"127.0.0.1", 1}}; // nothing listens there
  o.backoff = {.first = 10ms, .most = 50ms};
  o.producers = {{.topic = orders, .send_timeout = 200ms, .max_pending = 2}};
  o.consumers = {
    {.topic = orders, .subscription = "s", .handler = [](const received_message&) { return disposition::ack; }}};
  return o;
}

struct tree_fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
};

} // namespace stargate::test
