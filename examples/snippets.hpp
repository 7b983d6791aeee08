/// @file
/// What the pieces of C++ in the README and the guide take for granted.
#pragma once

#pragma GCC diagnostic ignored "-Wshadow" // each piece has names of its own

#include <stargate/stargate.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

static const stargate::topic_name orders{.topic = "orders"}, priced{.topic = "priced"};

static stargate::disposition bill(const stargate::received_message&) {
  return stargate::disposition::ack;
}

static caf::behavior my_worker(caf::event_based_actor*) {
  return {[](int number) { return number; }};
}

static std::string price_of(const stargate::received_message&) {
  return "1";
}
