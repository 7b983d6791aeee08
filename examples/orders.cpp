#include <stargate/stargate.hpp>

#include <atomic>
#include <cstdlib>
#include <iostream>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  caf::actor_system_config config;
  caf::actor_system system{config};

  std::atomic<bool> billed = false;
  const stargate::topic_name orders{.topic = "orders"};

  const auto bill = [&](const stargate::received_message& m) {
    std::cout << "billing " + m.payload + " to " + m.key.value_or("nobody") + "\n" << std::flush;
    billed = true;
    billed.notify_one();
    return stargate::disposition::ack;
  };

  stargate::options o;
  o.hosts = {{"localhost", static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080)}};
  o.producers = {{.topic = orders}};
  o.consumers = {{.topic = orders, .subscription = "billing", .processors = 4, .handler = bill}};

  const auto tree = stargate::start(system, std::move(o));
  const auto trouble = tree ? tree->wait_ready(10s) : tree.error();
  if (trouble) {
    std::cerr << stargate::describe(trouble) << '\n';
    return 1;
  }

  const auto producer = stargate::make_registry_key("public", "default", "orders");
  const auto id = tree->produce(producer, {.payload = "42 books", .key = "alice"});
  if (!id) {
    std::cerr << stargate::describe(id.error()) << '\n';
    return 1;
  }
  billed.wait(false);
  std::cout << to_string(tree->inspect());
} // the tree stops: it drains, acknowledges and closes
