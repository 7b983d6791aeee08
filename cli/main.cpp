#include "cli/common.hpp"
#include "cli/log.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace stargate;

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
  auto least = log_level::error;
  auto format = cli::log_format::text;
  const std::map<std::string, log_level> levels{{"debug", log_level::debug},
                                                {"info", log_level::info},
                                                {"warning", log_level::warning},
                                                {"error", log_level::error}};
  app.add_option("--log-level", least, "What is important enough to be said on standard error")
    ->transform(CLI::CheckedTransformer{levels}.description("debug, info, warning or error"))
    ->default_str("error");
  app
    .add_flag_callback(
      "-v,--verbose", [&least] { least = log_level::debug; }, "Say on standard error what happens: --log-level debug")
    ->excludes("--log-level");
  app.add_option("--log-format", format, "How that is said: for people, or as JSON, an object a line")
    ->transform(CLI::CheckedTransformer{
      std::map<std::string, cli::log_format>{{"text", cli::log_format::text}, {"json", cli::log_format::json}}}
                  .description("text or json"))
    ->default_str("text");
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
                  {"tls.key_file", "--tls-key"},
                  {"monitor.port", ""},
                  {"monitor.address", ""},
                  {"monitor.token", ""}});
  app
    .add_option_function<std::string>(
      "--monitor",
      [&global](const std::string& text) {
        if (!cli::parse_monitor(text, global.tree.monitor))
          throw CLI::ValidationError{"--monitor", "'" + text + "' is not a port, or an address and a port"};
      },
      "Show the tree by HTTP: a live page at /, /metrics for Prometheus, /healthz, /readyz, /tree.json; on 127.0.0.1 "
      "unless an address is named")
    ->type_name("[ADDRESS:]PORT");
  app
    .add_option("--monitor-token", global.tree.monitor.token,
                "What who asks the monitor has to show as Authorization: Bearer; an address that is not this machine's "
                "own needs one")
    ->envname("STARGATE_MONITOR_TOKEN")
    ->type_name("TOKEN");

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
  cli::set_log(format, least);
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
