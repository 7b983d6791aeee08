#include "box/server.hpp"
#include "cli/common.hpp"

#include <iostream>
#include <stdexcept>

namespace stargate::cli {

void add_standalone(CLI::App& app, std::function<int()>& run) {
  auto o = std::make_shared<box::server::settings>();
  auto* sub = app.add_subcommand("standalone", "A broker in memory, for development and tests: it stores nothing");
  sub->add_option("--port", o->port, "The port of WebSocket and REST; 0 for one that is free")->capture_default_str();
  sub->add_option("--address", o->address, "The address of the interface to listen on")->capture_default_str();
  sub->footer(
    "It behaves as a Pulsar 4.0 with its defaults does, without tokens and TLS, and refuses what it does not do.\n"
    "Whoever reaches the port may do everything: leave --address on this machine.");
  sub->callback([o, &run] {
    run = [o] {
      try {
        box::server broker{*o};
        std::cout << "a broker in a box, in memory: it stores nothing. It answers on ws://" << o->address << ':'
                  << broker.port() << std::endl;
        broker.run([] { return is_interrupted(); });
        const auto seen = broker.seen();
        std::cout << "ends, and forgets all; " << seen.connections << " connections, " << seen.frames_in
                  << " frames in, " << seen.frames_out << " out" << std::endl;
        return static_cast<int>(done);
      } catch (const std::runtime_error& e) {
        return fail(std::string{e.what()});
      }
    };
  });
}

} // namespace stargate::cli
