/// @file
/// What the subcommands of `stargate` share.
#pragma once

#include <stargate/stargate.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace stargate::cli {

/// What the command ends with.
enum exit_status : int { done = 0, failed = 1, wrong_usage = 2 };

/// The options in front of every subcommand.
struct global_options {
  std::string url;
  double connect_timeout = 10; ///< Seconds.
  bool verbose = false;
};

/// Reads `ws://host[:port]`. @par Errors errc::invalid_url
[[nodiscard]] caf::expected<host> parse_url(const std::string& url);

/// Seconds as they stand on a command line, as milliseconds.
[[nodiscard]] std::chrono::milliseconds milliseconds_of(double seconds);

/// Says in one line on standard error what went wrong; gives `failed`.
int fail(const caf::error& why);
int fail(const std::string& why);

/// Whether the user asked to stop, by SIGINT or SIGTERM. `handle_interrupts` makes it so.
[[nodiscard]] bool is_interrupted();
void handle_interrupts();

/// The actor system of the command.
class runtime {
public:
  runtime();
  caf::actor_system& system() { return *system_; }

private:
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
};

/// Starts a tree of one producer, consumer or reader, and waits until it is connected: `--connect-timeout`.
[[nodiscard]] caf::expected<tree> start_connected(runtime& r, const global_options& g, options o);

/// Each adds a subcommand to `app`; `run` is set to what is to be done when it was chosen.
void add_produce(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_consume(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_read(CLI::App& app, const global_options& g, std::function<int()>& run);

} // namespace stargate::cli
