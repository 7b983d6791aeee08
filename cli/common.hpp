/// @file
/// What the subcommands of `stargate` share.
#pragma once

#include "libstargate/protocol/option_table.hpp"

#include <stargate/stargate.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace stargate::cli {

/// What the command ends with.
enum exit_status : int { done = 0, failed = 1, wrong_usage = 2 };

/// The options in front of every subcommand.
struct global_options {
  std::string url;
  std::chrono::milliseconds connect_timeout{10'000};
  stargate::options tree; ///< Hosts, scheme, TLS, token, and how the tree behaves.
};

/// Reads `ws://host[:port][,host[:port]…]` or `wss://…` into hosts and scheme. @par Errors errc::invalid_url
[[nodiscard]] caf::error parse_url(const std::string& url, stargate::options& into);

/// Reads `9090`, `0.0.0.0:9090` or `[::1]:9090`. False when it is none of these.
[[nodiscard]] bool parse_monitor(const std::string& text, monitor_options& into);

/// Adds a flag that is a duration: `10s`, `500ms`, `2min`, `1h`, `1d`, or `0` where it may be; its present value is the
/// default. It is refused below `least`.
void add_duration(CLI::App& sub, const std::string& flag, std::chrono::milliseconds& into, const std::string& help,
                  std::chrono::milliseconds least);

/// Says in one line on standard error what went wrong; gives `failed`, or `wrong_usage` for what is wrong with the
/// options themselves.
int fail(const caf::error& why);
int fail(const std::string& why);

/// Whether the user asked to stop, by SIGINT or SIGTERM. `handle_interrupts` makes it so.
[[nodiscard]] bool is_interrupted();
void handle_interrupts();

/// From now on SIGHUP ends nothing; whether one came since it was asked last.
void handle_hangups();
[[nodiscard]] bool was_hung_up();

/// The actor system of the command.
class runtime {
public:
  runtime();
  caf::actor_system& system() { return *system_; }

private:
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
};

/// Starts a tree of `what`, everything else of which is told by the global options, and waits until it is connected:
/// `--connect-timeout`.
[[nodiscard]] caf::expected<tree> start_connected(runtime& r, const global_options& g, pipelines what);

/// `ack_timeout` as a flag: `--ack-timeout`.
[[nodiscard]] std::string flag_of(std::string_view name);

/// Adds a flag for every option in the table. `flags` names those that are called differently on the command line,
/// or, with an empty name, are not there.
template <class Options>
void add_table(CLI::App& sub, const std::shared_ptr<Options>& target,
               const std::map<std::string_view, std::string>& flags) {
  for (const auto& row : protocol::rows<Options>()) {
    const auto named = flags.find(row.name);
    const auto flag = named == flags.end() ? flag_of(row.name) : named->second;
    if (!row.set || flag.empty())
      continue;
    const auto read = [target, set = row.set, flag, expected = row.expected](const std::string& text) {
      if (!set(*target, text))
        throw CLI::ValidationError{flag, "'" + text + "' is not " + expected};
    };
    const auto help = row.help + (row.allowed.empty() ? "" : " (" + row.allowed + ")");
    CLI::Option* option = nullptr;
    if (row.is_flag)
      option = sub.add_flag_function(
        flag + ",!--no-" + flag.substr(flag.rfind("--") + 2),
        [read](std::int64_t count) { read(count > 0 ? "true" : "false"); }, help);
    else if (row.is_list)
      option = sub
                 .add_option_function<std::vector<std::string>>(
                   flag,
                   [read](const std::vector<std::string>& texts) {
                     for (const auto& text : texts)
                       read(text);
                   },
                   help)
                 ->take_all()
                 ->expected(1)
                 ->allow_extra_args(false)
                 ->type_name(row.type);
    else
      option = sub.add_option_function<std::string>(flag, read, help)->type_name(row.type);
    if (!row.is_flag)
      option->default_str(row.standard);
  }
}

/// Each adds a subcommand to `app`; `run` is set to what is to be done when it was chosen.
void add_produce(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_consume(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_read(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_run(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_admin(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_perf(CLI::App& app, const global_options& g, std::function<int()>& run);
void add_tree(CLI::App& app, std::function<int()>& run);
void add_standalone(CLI::App& app, std::function<int()>& run);
void add_documents(CLI::App& app, std::function<int()>& run);

} // namespace stargate::cli
