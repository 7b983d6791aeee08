/// @file
/// What the pieces of C++ in the README take for granted.
#pragma once

#include <stargate/stargate.hpp>

using namespace std::chrono_literals;

static const stargate::topic_name orders{.topic = "orders"};

static stargate::disposition bill(const stargate::received_message&) {
  return stargate::disposition::ack;
}

static caf::behavior my_worker(caf::event_based_actor*) {
  return {[](int number) { return number; }};
}
