#include "cli/common.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace stargate;
  init_caf();

  CLI::App app{"Produces to, consumes from and reads Apache Pulsar over its WebSocket API.", "stargate"};
  app.set_version_flag("--version", "stargate " STARGATE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("A TOPIC is persistent://tenant/namespace/topic, or a bare name in public/default.\n"
             "Exit status: 0 done, 1 failed at run time, 2 wrong usage.");

  cli::global_options global;
  app.add_option("--url", global.url, "The broker's web port")
    ->envname("STARGATE_URL")
    ->default_val("ws://localhost:8080")
    ->check(CLI::Validator{[](const std::string& text) {
                             const auto parsed = cli::parse_url(text);
                             return parsed ? std::string{} : describe(parsed.error());
                           },
                           "URL"});
  app.add_option("--connect-timeout", global.connect_timeout, "Seconds until a first connection must stand")
    ->check(CLI::Range(0.001, 86'400.0))
    ->capture_default_str();
  app.add_flag("-v,--verbose", global.verbose, "Say on standard error what happens to the connection");

  std::function<int()> run;
  cli::add_produce(app, global, run);
  cli::add_consume(app, global, run);
  cli::add_read(app, global, run);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e); // --help, --version
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return cli::wrong_usage;
  }
  try {
    cli::handle_interrupts();
    return run();
  } catch (const std::exception& e) {
    return cli::fail(std::string{e.what()});
  }
}
