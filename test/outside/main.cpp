#include <stargate/stargate.hpp>

#include <iostream>

int main() {
  caf::actor_system_config config;
  caf::actor_system system{config};
  stargate::options o;
  o.hosts = {{"127.0.0.1", 1}};
  o.producers = {{.topic = {.topic = "orders"}}};
  const auto tree = stargate::start(system, std::move(o));
  if (!tree)
    return 1;
  const auto key = stargate::make_registry_key("public", "default", "orders");
  std::cout << to_string(key) << (tree->whereis(key) ? " is there" : " is missing") << std::endl;
  return tree->whereis(key) ? 0 : 1;
}
