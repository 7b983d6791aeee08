#include "box/configuration.hpp"
#include "box/server.hpp"
#include "cli/common.hpp"
#include "cli/log.hpp"

#include <iostream>
#include <stdexcept>
#include <string>

namespace stargate::cli {

namespace {

/// What was given on the command line; it goes before what stands in the file.
struct standalone_options {
  std::string file;
  std::optional<std::string> address, certificate_file, key_file, secret_key;
  std::optional<std::uint16_t> port, tls_port;
  std::vector<std::string> super_user_roles;
};

box::configuration configured(const standalone_options& o) {
  auto c = o.file.empty() ? box::configuration{} : box::read_configuration(o.file);
  auto& s = c.settings;
  s.address = o.address.value_or(s.address);
  s.port = o.port.value_or(s.port);
  if (o.tls_port)
    s.tls_port = o.tls_port;
  s.certificate_file = o.certificate_file.value_or(s.certificate_file);
  s.key_file = o.key_file.value_or(s.key_file);
  if (o.secret_key && !s.model.access)
    s.model.access.emplace();
  if (o.secret_key)
    s.model.access->token_secret_key = box::read_secret_key(*o.secret_key);
  if (s.model.access)
    s.model.access->super_user_roles.insert(o.super_user_roles.begin(), o.super_user_roles.end());
  return c;
}

int serve(const standalone_options& o) {
  const auto c = configured(o);
  for (const auto& name : c.unknown)
    log(log_level::warning, {}, std::string{name} + " has no effect on a broker in a box");
  box::server broker{c.settings};
  const auto host = "://" + c.settings.address + ':';
  std::cout << "a broker in a box, in memory: it stores nothing. It answers on ";
  if (const auto port = broker.tls_port())
    std::cout << "wss" << host << *port << " and ";
  std::cout << "ws" << host << broker.port() << std::endl;
  broker.run([] { return is_interrupted(); });
  const auto seen = broker.seen();
  std::cout << "ends, and forgets all; " << seen.connections << " connections, " << seen.frames_in << " frames in, "
            << seen.frames_out << " out" << std::endl;
  return done;
}

} // namespace

void add_standalone(CLI::App& app, std::function<int()>& run) {
  auto o = std::make_shared<standalone_options>();
  auto* sub = app.add_subcommand("standalone", "A broker in memory, for development and tests: it stores nothing");
  sub->add_option("--port", o->port, "The port of WebSocket and REST; 0 for one that is free")->default_str("8080");
  sub->add_option("--address", o->address, "The address of the interface to listen on")->default_str("127.0.0.1");
  auto* tls = sub->add_option("--tls-port", o->tls_port, "A second port, with TLS; 0 for one that is free");
  sub->add_option("--tls-cert", o->certificate_file, "Its certificate and what is above it, PEM")->needs(tls);
  sub->add_option("--tls-key", o->key_file, "The key of its certificate, PEM")->needs(tls);
  sub->add_option("--token-secret-key", o->secret_key,
                  "Tokens are asked for, signed with the secret in this file: 32 bytes or more");
  sub->add_option("--super-user-roles", o->super_user_roles, "Who may do everything; others what they were granted")
    ->delimiter(',');
  sub->add_option(
    "--config", o->file,
    "Pulsar's configuration file, such as its standalone.conf; what stands on the command line goes before");
  sub->footer(
    "It behaves as a Pulsar 4.0 with its defaults does, and refuses what it does not do.\n"
    "Without --token-secret-key, whoever reaches the port may do everything: leave --address on this machine.");
  sub->callback([o, &run] {
    run = [o] {
      try {
        return serve(*o);
      } catch (const std::runtime_error& e) {
        return fail(std::string{e.what()});
      }
    };
  });
}

} // namespace stargate::cli
