#include "cli/common.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace stargate;
  init_caf();

  CLI::App app{
    "Apache Pulsar over its WebSocket API: produces, consumes, reads, administers, and runs supervised pipelines.",
    "stargate"};
  app.set_version_flag("--version", "stargate " STARGATE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("A TOPIC is persistent://tenant/namespace/topic, or a bare name in public/default.\n"
             "Exit status: 0 done, 1 failed at run time, 2 wrong usage.");

  cli::global_options global;
  app.set_config("--config", "",
                 "A file with options, in TOML: connect_timeout = \"5s\" at the top, a subcommand's below [consume]");
  app
    .add_option("--url", global.url,
                "The brokers' web ports: ws:// or wss:// and one host:port, or several with commas")
    ->envname("STARGATE_URL")
    ->default_val("ws://localhost:8080")
    ->check(CLI::Validator{[](const std::string& text) {
                             options ignored;
                             const auto wrong = cli::parse_url(text, ignored);
                             return wrong ? describe(wrong) : std::string{};
                           },
                           "URL"});
  cli::add_duration(app, "--connect-timeout", global.connect_timeout, "Until a first connection must stand",
                    std::chrono::milliseconds{1});
  app.add_flag("-v,--verbose", global.verbose, "Say on standard error what happens to the connection");
  std::string token;
  std::string token_file;
  app
    .add_option("--token", token,
                "The token to show, or token:TOKEN, or file:///PATH; others on this machine can see a command line, so "
                "rather use a file")
    ->envname("STARGATE_TOKEN")
    ->type_name("TOKEN");
  app.add_option("--token-file", token_file, "A file with the token, read again at each connect")
    ->type_name("FILE")
    ->excludes("--token");
  const std::shared_ptr<options> tree{&global.tree, [](options*) {}};
  cli::add_table(app, tree,
                 {{"name", ""},
                  {"hosts", ""},
                  {"scheme", ""},
                  {"base_path", ""},
                  {"connect_timeout", ""},
                  {"tls.ca_file", "--tls-ca"},
                  {"tls.certificate_file", "--tls-cert"},
                  {"tls.key_file", "--tls-key"}});

  std::function<int()> run;
  cli::add_produce(app, global, run);
  cli::add_consume(app, global, run);
  cli::add_read(app, global, run);
  cli::add_run(app, global, run);
  cli::add_admin(app, global, run);
  cli::add_perf(app, global, run);
  cli::add_tree(app, run);
  cli::add_standalone(app, run);
  cli::add_documents(app, run);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e); // --help, --version
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return cli::wrong_usage;
  }
  try {
    static_cast<void>(cli::parse_url(global.url, global.tree)); // was checked
    if (!token_file.empty())
      global.tree.token = token_source::file(token_file);
    else if (!token.empty())
      global.tree.token = token_source::from(token);
    cli::handle_interrupts();
    return run();
  } catch (const std::exception& e) {
    return cli::fail(std::string{e.what()});
  }
}
