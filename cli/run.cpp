#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/description.hpp"
#include "cli/log.hpp"
#include "cli/notify.hpp"
#include "libstargate/protocol/frames.hpp"

#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace stargate::cli {

using namespace compat;

namespace {

/// Produces what a command made of a message. A receipt that is slow blocks nobody, but for a reader, which could not
/// have the message again.
disposition pass_on(const received_message& m, const handler_context& here, const topic_name& topic, message output) {
  const auto to = producer_key(topic, "cli");
  if (auto encoded = protocol::encode_message(output, 0); !encoded)
    throw std::runtime_error{describe(encoded.error())}; // it would be so each time
  if (!here.component.starts_with("reader"))
    return here.tree.produce_and_ack(m, to, std::move(output));
  const auto id = here.tree.lock().produce(to, std::move(output));
  if (!id)
    throw std::runtime_error{describe(id.error())};
  return disposition::ack;
}

handler_factory shell_handler(shell_command command, std::shared_ptr<cli::commands> commands) {
  return [command = std::move(command), commands = std::move(commands)](const received_message& m,
                                                                        const handler_context& here) {
    auto output = commands->run(command.text, m, command.limit, command.produce_to.has_value());
    if (!command.produce_to)
      return disposition::ack;
    return pass_on(m, here, *command.produce_to,
                   {.payload = std::move(output), .key = m.key, .properties = m.properties});
  };
}

void say(const std::string& text) {
  log(log_level::info, {}, text);
}

std::string host_of(const monitor_options& o) {
  return o.address.find(':') == std::string::npos ? o.address : "[" + o.address + "]";
}

std::string summary(const options& o) {
  return std::to_string(o.producers.size()) + " producers, " + std::to_string(o.consumers.size()) + " consumers, "
         + std::to_string(o.readers.size()) + " readers";
}

/// A tree that runs by a description in a file.
class described_tree {
public:
  described_tree(const global_options& g, std::string file) : global_{g}, file_{std::move(file)} {}

  [[nodiscard]] caf::expected<description> read() const {
    std::ifstream in{file_, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in)
      return make_error(errc::invalid_option, "the description '" + file_ + "' cannot be read");
    auto from = global_.tree;
    from.name = "cli";
    return read_description(text, file_, from,
                            [this](shell_command command) { return shell_handler(std::move(command), commands_); });
  }

  int run() {
    auto first = read();
    if (!first)
      return fail(first.error());
    now_ = std::move(*first);
    auto mine = global_;
    mine.tree = now_.tree;
    runtime r;
    handle_hangups();
    auto started = start_connected(r, mine, {now_.tree.producers, now_.tree.consumers, now_.tree.readers});
    if (!started) {
      stop();
      return fail(started.error());
    }
    if (const auto port = started->monitor_port())
      say("the monitor is at http://" + host_of(now_.tree.monitor) + ":" + std::to_string(*port) + "/");
    say("running " + file_ + "; end it with Control-C, have it read again with SIGHUP");
    notify("READY=1\nSTATUS=" + summary(now_.tree));
    int status = done;
    while (!is_interrupted() && status == done) {
      notify_watchdog();
      std::this_thread::sleep_for(std::chrono::milliseconds{100}); // a signal wakes nobody
      if (was_hung_up())
        read_again(*started);
      if (has_ended(started->supervisor()))
        status = fail(std::string{"the tree has given up"});
    }
    say("stopping");
    notify("STOPPING=1");
    const auto unclean = started->stop();
    stop();
    return unclean ? fail(unclean) : status;
  }

private:
  /// Nobody waits for what takes longer than the tree did.
  void stop() { commands_->kill_all(); }

  /// Brings what runs to what the file says now. What is wrong in it changes nothing; nor do options of the tree
  /// itself, with which everything runs.
  void read_again(const tree& t) {
    auto next = read();
    if (!next)
      return say("nothing is changed: " + describe(next.error()));
    if (next->rest != now_.rest)
      return say("nothing is changed: options of the tree itself are other ones in " + file_
                 + ", and only producers, consumers and readers can change while it runs");
    const auto to_do = changes_between(now_, *next);
    if (to_do.empty())
      return say("nothing is changed: " + file_ + " says what runs");
    for (const auto* part : to_do.removed)
      if (const auto wrong = t.remove(part->key)) {
        say(describe(wrong));
        return put_back(t);
      }
    if (!to_do.added.empty())
      if (const auto wrong = t.add(all_of(to_do.added))) {
        say(describe(wrong));
        return put_back(t);
      }
    say(file_ + " is read again: " + std::to_string(to_do.removed.size()) + " ended, "
        + std::to_string(to_do.added.size()) + " started; now " + summary(next->tree));
    now_ = std::move(*next);
  }

  /// What ran before runs again: what is still there is refused as being there twice, and stays.
  void put_back(const tree& t) {
    for (const auto& [id, part] : now_.parts)
      static_cast<void>(t.add(part.what));
    say("what ran before goes on");
  }

  const global_options& global_;
  const std::string file_;
  const std::shared_ptr<cli::commands> commands_ = std::make_shared<cli::commands>();
  description now_;
};

int run_tree(const global_options& g, const std::string& file, bool check_only) {
  described_tree it{g, file};
  if (!check_only)
    return it.run();
  const auto read = it.read();
  if (!read)
    return fail(read.error());
  say(file + " is right: " + summary(read->tree));
  return done;
}

} // namespace

void add_run(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto file = std::make_shared<std::string>();
  auto check_only = std::make_shared<bool>(false);
  auto* sub = app.add_subcommand("run", "Run a supervised tree whose handlers are shell commands");
  sub
    ->add_option("--config", *file, "The tree, in JSON: the options' names, and a command for each consumer and reader")
    ->required()
    ->type_name("FILE");
  sub->add_flag("--check", *check_only, "Only say whether the description is right");
  sub->footer(
    "A command gets each message on its standard input and the rest in STARGATE_TOPIC, STARGATE_MESSAGE_ID,\n"
    "STARGATE_KEY, STARGATE_PROPERTIES (JSON), STARGATE_PUBLISH_TIME and STARGATE_REDELIVERY_COUNT; all that is in\n"
    "the file STARGATE_METADATA as JSON, too, also what is too large for a variable, which is then not set. Exit\n"
    "status 0 acknowledges the message. With \"produce_to\", what it prints is produced to that topic. What it leaves\n"
    "behind in the background is not waited for. After \"handler_timeout\" it is killed, with all it has started.\n"
    "SIGHUP has the file read again: what is no longer in it is drained and ended, what is new is started, what is\n"
    "written otherwise is both; a description with a mistake changes nothing.");
  sub->callback(
    [file, check_only, &g, &run] { run = [file, check_only, &g] { return run_tree(g, *file, *check_only); }; });
}

} // namespace stargate::cli
